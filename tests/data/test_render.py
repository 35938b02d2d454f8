"""The renderer against areas, colours and opacities worked by hand, and against the voxels of the same object."""

import sys

import numpy as np
import pytest

pytest.importorskip("embreex")

from compress3d.data.camera import FOCAL, pose, project, sample_cameras
from compress3d.data.mesh import Material, Mesh, crease_normals
from compress3d.data.render import Renderer
from compress3d.data.solids import Box, Ellipsoid, Frustum
from compress3d.data.voxelize import bounding_cube, space_carve
from compress3d.errors import DataError

VIEW = np.array([0.0, 30.0, 0.0, 0.8, 25.0])  # from +x and 30 degrees above


def mesh_of(solids, materials=None) -> Mesh:
    vertices, faces, owner = [], [], []
    for number, solid in enumerate(solids):
        v, f = solid.mesh()
        faces.append(f + sum(map(len, vertices)))
        vertices.append(v)
        owner.append(np.full(len(f), number if materials else 0))
    vertices, faces = np.concatenate(vertices), np.concatenate(faces)
    return Mesh(
        vertices, faces, crease_normals(vertices, faces), np.zeros((len(faces), 3, 2)), np.concatenate(owner),
        materials or [Material((0.5, 0.5, 0.5))],
    )  # fmt: skip


def floor(height: float = 0.0, half: float = 0.3, material: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A level square, corners in the order of its texture's (0, 0), (1, 0), (1, 1), (0, 1)."""
    corners = np.array([[-1, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]]) * half
    return corners + [0, height, 0], np.full(2, material)


def floors(*sheets, materials, textures=()) -> Mesh:
    vertices = np.concatenate([corners for corners, _ in sheets])
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * k for k in range(len(sheets))])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)[faces % 4]
    owner = np.concatenate([material for _, material in sheets])
    return Mesh(vertices, faces, crease_normals(vertices, faces), uv, owner, materials, list(textures))


def covered(view: np.ndarray) -> float:
    """Pixels that a picture covers."""
    return view[..., 3].sum() / 255


@pytest.mark.parametrize("supersampling", [2, 3])
def test_alpha_is_the_covered_area(supersampling):
    """The shoelace formula on the projected corners."""
    render = Renderer(floors(floor(), materials=[Material((1, 1, 1))]), supersampling)
    for view in sample_cameras(np.random.default_rng(0), 4):
        x, y = project(floor()[0], view).T
        area = abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
        picture = render(view)
        assert picture.shape == (137, 137, 4) and picture.dtype == np.uint8
        assert covered(picture) == pytest.approx(area, rel=0.005)


def test_shading_worked_by_hand():
    """Normal up, both lamps at cos 0.8: hemisphere terms 0.9; the view meets the normal at sin 30 = 0.5 in the
    middle: 0.16 + 0.36 (0.9 + 0.9) + 0.10 x 0.5 = 0.858, times a colour of 0.04 + 0.96 x (0.5, 0, 1)."""
    picture = Renderer(floors(floor(), materials=[Material((0.5, 0.0, 1.0))]))(VIEW)
    expected = np.round(0.858 * np.array([0.52, 0.04, 1.0]) * 255)
    assert np.abs(picture[68, 68, :3].astype(int) - expected).max() <= 1
    assert picture[68, 68, 3] == 255


def test_straight_alpha_and_black_outside():
    """Pixels at an edge have the colour of the surface, not a mixture with the background."""
    picture = Renderer(floors(floor(), materials=[Material((0.8, 0.4, 0.2))]))(VIEW)
    alpha = picture[..., 3]
    edge = (alpha > 0) & (alpha < 255)
    assert edge.sum() > 50
    assert np.abs(picture[edge][:, :3].astype(int) - picture[68, 68, :3].astype(int)).max() <= 4
    assert (picture[alpha == 0] == 0).all()
    assert (picture[0] == 0).all()


def test_see_through_sheets_multiply():
    """Two panes of opacity 0.5 let a quarter through; a solid floor below leaves nothing."""
    panes = [Material((1, 1, 1), alpha=0.5), Material((1, 1, 1))]
    two = Renderer(floors(floor(0.05), floor(0.0), materials=panes))(VIEW)
    assert two[68, 68, 3] == round(0.75 * 255)
    three = Renderer(floors(floor(0.05), floor(0.0), floor(-0.05, material=1), materials=panes))(VIEW)
    assert three[68, 68, 3] == 255


def test_texture_lies_the_right_way_round():
    """Seen from +x, the square's far edge is at x = -1: texture u = 0; its left edge is z = +1: v = 0, the last row."""
    red, green, blue, white = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
    texture = np.array([[red, green], [blue, white]], np.uint8).repeat(8, 0).repeat(8, 1)
    render = Renderer(floors(floor(), materials=[Material((1, 1, 1), texture=0)], textures=[texture]))
    picture = render(VIEW)
    places = {blue: (-0.15, 0.15), white: (0.15, 0.15), red: (-0.15, -0.15), green: (0.15, -0.15)}
    for colour, (x, z) in places.items():
        column, row = project(np.array([[x, 0, z]]), VIEW)[0].astype(int)
        seen = picture[row, column, :3].astype(float)
        assert seen / seen.max() == pytest.approx(np.array(colour) / 255, abs=0.02)


SOLIDS = [
    Box([0, 0.1, 0], [0.5, 0.2, 0.4]),
    Ellipsoid([0.1, 0.3, 0], [0.15, 0.15, 0.3], sides=32),
    Frustum([-0.2, 0, 0.1], [-0.25, 0.5, 0.1], 0.05, 0.02),
]


def test_projected_surface_is_where_the_picture_is():
    """Points of the triangles, through the camera's formula alone, fall on covered pixels; and most of the covered
    pixels are hit."""
    mesh = mesh_of(SOLIDS).cleaned("solids")
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1, 1, 1], (len(mesh.faces), 4000))
    points = np.einsum("fnc,fck->fnk", weights, mesh.vertices[mesh.faces].astype(float)).reshape(-1, 3)
    render = Renderer(mesh)
    for view in sample_cameras(rng, 3):
        alpha = render(view)[..., 3]
        column, row = np.floor(project(points, view)).astype(int).T
        hit = np.zeros((137, 137), bool)
        hit[row, column] = True
        assert (alpha[hit] > 0).mean() > 0.98  # the rest: pixels covered by less than a ray
        assert hit[alpha == 255].mean() > 0.98


def test_picture_lies_inside_the_voxels_silhouette():
    """Voxels drawn as boxes in the frame of the object cover every pixel that the object covers."""
    mesh = mesh_of(SOLIDS).cleaned("solids")
    origin, side = bounding_cube(*(corner.astype(float) for corner in mesh.bounds))
    filled = np.argwhere(space_carve(mesh))
    boxes = mesh_of([Box(origin + (index + 0.5) / 32 * side, [side / 32] * 3) for index in filled])
    picture, voxels = Renderer(mesh, 2), Renderer(boxes, 2)
    for view in sample_cameras(np.random.default_rng(1), 3):
        inside = picture(view)[..., 3] > 0
        silhouette = voxels(view)[..., 3] > 0
        assert (silhouette[inside]).mean() > 0.998
        assert inside.sum() / silhouette.sum() > 0.6  # and they are not simply everywhere


def test_same_call_same_picture():
    mesh = mesh_of(SOLIDS).cleaned("solids")
    assert np.array_equal(Renderer(mesh)(VIEW), Renderer(mesh)(VIEW))


def test_out_of_the_picture_is_empty():
    mesh = floors(floor(height=3.0), materials=[Material((1, 1, 1))])
    assert not Renderer(mesh)(VIEW).any()


def test_without_embree_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(DataError, match="pip install"):
        Renderer(mesh_of(SOLIDS))


def test_any_pose_sees_what_a_metadata_row_sees():
    """The same camera by its place, axes and focal length; a longer lens shows the middle larger."""
    render = Renderer(floors(floor(), materials=[Material((0.8, 0.4, 0.2))]))
    for camera in sample_cameras(np.random.default_rng(1), 3):
        np.testing.assert_array_equal(render.view(*pose(camera), FOCAL, 137), render(camera))
        assert covered(render.view(*pose(camera), 1.2 * FOCAL, 137)) == pytest.approx(
            1.44 * covered(render(camera)), rel=0.01
        )
