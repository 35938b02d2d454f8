"""The surface of a radiance field as a coloured triangle mesh: marching cubes over its density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.fields import Field
from compress3d.nerf.voxels import checked_bounds, lattice_shape

if TYPE_CHECKING:
    import trimesh

THICKNESS = 0.01  # of the box's longest side: the surface is where a layer of it stops half of the light


def extract_mesh(
    field: Field,
    bounds: Tensor | np.ndarray | Sequence,
    size: int = 128,
    level: float = 0.5,
    chunk: int = 1 << 16,
) -> trimesh.Trimesh:
    """The surface of a field, with the colour that a camera in front of it sees.

    The lattice has an empty layer around it, so that a surface cut by the box is closed there.

    Args:
        field: any field that is not in NDC.
        bounds: box (2, 3) that is looked at.
        size: lattice points on the longest side of the box; 128 for a network of 4 x 128 takes 8 s of one core.
        level: share of light, in (0, 1), that a layer of 1 % of the box's longest side stops at the surface.
        chunk: points asked at once.

    Returns:
        A mesh in the scene's units, triangles counter-clockwise from outside, vertex colours uint8.

    Raises:
        ConfigError: `level` or `size` cannot be.
        DataError: there is no surface.
    """
    import trimesh
    from skimage.measure import marching_cubes

    if not 0 < level < 1:
        raise ConfigError(f"level {level:g}", "is no share of light", "give one between 0 and 1, such as 0.5")
    box = checked_bounds(bounds)
    shape = lattice_shape(box, size)
    device = _device(field)
    stopped = stopped_light(field, box, shape, chunk).cpu().numpy()
    if not (stopped > level).any():
        problem = f"stops at most {stopped.max():.1%} of the light in a layer, nowhere more than {level:.1%}"
        raise DataError("field", problem, "lower the level, or train the field")
    spacing = ((box[1] - box[0]) / (torch.tensor(shape) - 1)).numpy().astype(np.float64)
    vertices, triangles, _, _ = marching_cubes(
        np.pad(stopped, 1), level, spacing=tuple(spacing), gradient_direction="ascent"
    )
    vertices = vertices + box[0].numpy() - spacing
    outside = trimesh.Trimesh(vertices, triangles, process=False)
    colours = seen_colours(field, vertices, outside.vertex_normals, device, chunk)
    return trimesh.Trimesh(vertices, triangles, vertex_colors=colours, process=False)


def mesh_bytes(mesh: trimesh.Trimesh, z_up: bool = True) -> bytes:
    """A mesh as a GLB file.

    Args:
        mesh: such as `extract_mesh` makes.
        z_up: the scene's up is z, as Blender has it; glTF's is y, and the mesh is turned.
    """
    mesh = mesh.copy()
    if z_up:
        mesh.apply_transform(np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float))
    data = mesh.export(file_type="glb", include_normals=True)
    assert isinstance(data, bytes)
    return data


@torch.no_grad()
def stopped_light(field: Field, bounds: Tensor, shape: tuple[int, int, int], chunk: int) -> Tensor:
    """(X, Y, Z) in [0, 1]: share of light that a layer of 1 % of the box's longest side stops, at lattice points."""
    axes = [torch.linspace(float(a), float(b), n) for a, b, n in zip(*bounds, shape, strict=True)]
    points = torch.cartesian_prod(*axes).to(_device(field))
    sigma = torch.cat([field.activate(field.density(part)[0]).float() for part in points.split(chunk)])
    return -torch.expm1(-sigma * THICKNESS * float((bounds[1] - bounds[0]).max())).view(shape)


@torch.no_grad()
def seen_colours(
    field: Field, vertices: np.ndarray, normals: np.ndarray, device: torch.device, chunk: int
) -> np.ndarray:
    """RGB (V, 3) uint8 of points, each seen along its negative normal."""
    points = torch.as_tensor(vertices, dtype=torch.float32, device=device)
    views = F.normalize(-torch.as_tensor(np.array(normals), dtype=torch.float32, device=device), dim=-1)
    parts = []
    for at, view in zip(points.split(chunk), views.split(chunk), strict=True):
        _, features = field.density(at)
        parts.append(field.colour(features, view, 1).float().cpu())
    return (torch.cat(parts).clamp(0, 1).numpy() * 255).round().astype(np.uint8)


def _device(field: Field) -> torch.device:
    parameters = field.parameters() if isinstance(field, nn.Module) else iter(())
    return next((value.device for value in parameters), torch.device("cpu"))
