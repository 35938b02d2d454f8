"""Views of a mesh: Embree casts the rays, NumPy shades them. RGBA, 8 bit, exact alpha; no cast shadows, no ground.

Soft light from two sides above, as the two hemisphere lamps of ShapeNetRendering.
"""

from __future__ import annotations

import numpy as np

from compress3d.data.camera import FOCAL, IMAGE_SIDE, pose, project_from
from compress3d.data.mesh import Mesh, cross_product
from compress3d.errors import DataError

SUPERSAMPLING = 3  # rays a pixel and axis; 2 is twice as fast and a little rougher at edges
LAYERS = 4  # see-through surfaces followed along a ray
LIGHTS = np.array([[0.0, 0.8, 0.6], [0.0, 0.8, -0.6]], np.float32)  # unit vectors towards the two lamps
AMBIENT, LAMP, HEADLIGHT = 0.16, 0.36, 0.10
OPAQUE = 0.98


def embree_scene(triangles: np.ndarray):
    """An Embree scene of triangles float32 (F, 3, 3). DataError: embreex is not installed."""
    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as error:
        raise DataError("embreex", "is not installed", "run `pip install 'compress3d[data]'`") from error
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene, triangles)
    return scene


class Renderer:
    """Renders one mesh, normalised (centred, diagonal 1), from many cameras, with supersampling^2 rays a pixel.

    Example:
        >>> from compress3d.data.shapes import make
        >>> Renderer(make("chair", 3).mesh)(np.array([45, 27, 0, 0.8, 25])).shape
        (137, 137, 4)
    """

    def __init__(self, mesh: Mesh, supersampling: int = SUPERSAMPLING):
        self.mesh, self.supersampling = mesh, supersampling
        self.triangles = mesh.triangles
        self.scene = embree_scene(self.triangles)
        colours = np.array([m.colour for m in mesh.materials], np.float32)
        self.colours = 0.04 + 0.96 * colours  # nothing is darker than paint can be
        self.alphas = np.array([m.alpha for m in mesh.materials], np.float32)
        self.texture_of_material = np.array([m.texture for m in mesh.materials])
        self.see_through = (self.alphas < 0.99).any() or any((t[..., 3:] < 250).any() for t in mesh.textures)
        self.pyramids = [_mipmaps(texture) for texture in mesh.textures]
        # Texture units that a unit of length crosses, for each face: chooses the level of the pyramid.
        area = np.linalg.norm(cross_product(self.triangles), axis=1)
        (u, v), (s, t) = np.moveaxis(mesh.uv[:, 1:] - mesh.uv[:, :1], 0, -1)
        self.texels_per_length = np.sqrt(np.abs(u * t - v * s) / np.maximum(area, 1e-12))

    def __call__(self, camera: np.ndarray, side: int = IMAGE_SIDE) -> np.ndarray:
        """The view of a camera (metadata row), uint8 (side, side, 4); straight alpha, black where alpha is zero."""
        return self.view(*pose(camera), FOCAL, side)

    def view(self, eye: np.ndarray, rotation: np.ndarray, focal: float, side: int) -> np.ndarray:
        """The view from any place outside the mesh, uint8 (side, side, 4), as above.

        Args:
            eye: (3,), of the camera.
            rotation: (3, 3), its right, up and backward axes as rows.
            focal: in units of the picture's side.
        """
        k = self.supersampling
        n = side * k
        corners = project_from(self.mesh.vertices, eye, rotation, focal, n)
        x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, n)
        full = np.zeros((n, n, 4), np.float32)
        if x1 > x0 and y1 > y0:
            column, row = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
            pixels = focal * n
            local = np.stack([(column - n / 2) / pixels, -(row - n / 2) / pixels, -np.ones_like(row)], -1)
            directions = local.reshape(-1, 3) @ rotation
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            seen = self._trace(eye, directions.astype(np.float32), 1.0 / pixels * k)
            full[y0:y1, x0:x1] = seen.reshape(y1 - y0, x1 - x0, 4)
        mean = full.reshape(side, k, side, k, 4).mean((1, 3))
        alpha = mean[..., 3:]
        straight = np.where(alpha > 1e-3, mean[..., :3] / np.maximum(alpha, 1e-3), 0)
        image = (np.concatenate([straight, alpha], 2).clip(0, 1) * 255 + 0.5).astype(np.uint8)
        image[image[..., 3] == 0] = 0
        return image

    def _trace(self, eye: np.ndarray, directions: np.ndarray, pixel_angle: float) -> np.ndarray:
        """Premultiplied RGBA (R, 4) along rays, through up to `LAYERS` see-through surfaces."""
        count = len(directions)
        rgba, travelled = np.zeros((count, 4), np.float32), np.zeros(count, np.float32)
        origins = np.repeat(eye[None].astype(np.float32), count, 0)
        active = np.arange(count)
        for _ in range(LAYERS if self.see_through else 1):
            hit = self.scene.run(origins[active], directions[active], output=True)
            struck = hit["primID"] >= 0
            active = active[struck]
            if not len(active):
                break
            face, u, v, distance = (hit[key][struck] for key in ("primID", "u", "v", "tfar"))
            seen_from = travelled[active] + distance
            shade, opacity = self._shade(face, u, v, directions[active], seen_from, pixel_angle)
            weight = (1 - rgba[active, 3]) * opacity
            rgba[active, :3] += weight[:, None] * shade
            rgba[active, 3] += weight
            step = distance + 1e-4  # past the surface
            travelled[active] += step
            origins[active] += directions[active] * step[:, None]
            active = active[rgba[active, 3] < OPAQUE]
        return rgba

    def _shade(self, face, u, v, direction, distance, pixel_angle) -> tuple[np.ndarray, np.ndarray]:
        """Colour (R, 3) and opacity (R,) where rays struck."""
        weights = np.stack([1 - u - v, u, v], 1)
        normal = np.einsum("ri,rik->rk", weights, self.mesh.normals[face].astype(np.float32))
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        normal[np.einsum("rk,rk->r", normal, direction) > 0] *= -1  # both sides of a sheet are lit
        material = self.mesh.material_of_face[face]
        colour, opacity = self.colours[material].copy(), self.alphas[material].copy()
        texture = self.texture_of_material[material]
        for number in np.unique(texture[texture >= 0]):
            rays = np.flatnonzero(texture == number)
            uv = np.einsum("ri,rik->rk", weights[rays], self.mesh.uv[face[rays]].astype(np.float32))
            side = max(self.pyramids[number][0].shape[:2])
            footprint = self.texels_per_length[face[rays]] * distance[rays] * pixel_angle * side
            texel = _look_up(self.pyramids[number], uv, footprint)
            colour[rays] = texel[:, :3]
            opacity[rays] *= texel[:, 3]
        hemisphere = 0.5 + 0.5 * (normal @ LIGHTS.T)
        facing = np.abs(np.einsum("rk,rk->r", normal, direction))
        light = AMBIENT + LAMP * hemisphere[:, 0] + LAMP * hemisphere[:, 1] + HEADLIGHT * facing
        return np.clip(colour * light[:, None], 0, 1), opacity


def _mipmaps(texture: np.ndarray, levels: int = 8) -> list[np.ndarray]:
    """A texture and its halvings, uint8."""
    pyramid = [texture]
    while min(pyramid[-1].shape[:2]) > 1 and len(pyramid) < levels:
        h, w = (side // 2 for side in pyramid[-1].shape[:2])
        even = pyramid[-1][: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).astype(np.uint16)
        pyramid.append((even.sum((1, 3)) // 4).astype(np.uint8))
    return pyramid


def _look_up(pyramid: list[np.ndarray], uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """RGBA in [0, 1] (R, 4) at repeating coordinates uv (R, 2), from the level whose texels match the footprint."""
    level = np.clip(np.log2(np.maximum(footprint, 1e-6)), 0, len(pyramid) - 1).astype(int)
    found = np.ones((len(uv), 4), np.float32)
    for number in np.unique(level):
        rays = np.flatnonzero(level == number)
        image = pyramid[number]
        h, w, channels = image.shape
        x = np.floor((uv[rays, 0] % 1.0) * w).astype(int) % w
        y = np.floor(((1 - uv[rays, 1]) % 1.0) * h).astype(int) % h
        found[rays, :channels] = image[y, x] / np.float32(255)
    return found
