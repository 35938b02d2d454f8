"""Meshes of spheres, whose size, closedness and colours are known, and of nothing."""

import io

import numpy as np
import pytest
import torch
import trimesh

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.mesh import extract_mesh, mesh_bytes
from compress3d.nerf.voxels import VoxelField

BOUNDS = ((-1.0, -1.0, -1.0), (1.0, 1.2, 1.4))
SIDE = 2.4


class Sphere:
    """Density that passes through its surface's level smoothly; colours of the viewing direction."""

    def __init__(self, radius: float, centre: tuple[float, float, float]):
        self.radius, self.centre = radius, torch.tensor(centre)

    def density(self, points):
        return self.radius - (points - self.centre).norm(dim=-1), points

    def activate(self, raw):
        # half of the light is stopped in 1 % of the longest side where raw is 0
        return np.log(2) / (0.01 * SIDE) * torch.exp(8 * raw)

    def colour(self, features, views, ray):
        assert ray == 1
        return (views + 1) / 2


@pytest.mark.parametrize("size", (12, 25, 48, 81))
@pytest.mark.parametrize("centre", ((0.0, 0.1, 0.2), (0.13, -0.07, 0.31)))
def test_a_sphere_is_closed_faces_out_and_has_its_radius(size, centre):
    mesh = extract_mesh(Sphere(0.7, centre), BOUNDS, size)
    cell = SIDE / (size - 1)
    distance = np.linalg.norm(mesh.vertices - np.array(centre), axis=1)
    assert np.abs(distance - 0.7).max() < 0.25 * cell
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert 0 < mesh.volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=6 * (cell / 0.7) ** 2 + 0.01)
    outward = (mesh.vertices - np.array(centre)) / distance[:, None]
    assert (outward * mesh.vertex_normals).sum(1).min() > 0.8
    # Each vertex is seen from in front of it: along its negative normal.
    expected = (1 - mesh.vertex_normals) / 2 * 255
    assert np.abs(mesh.visual.vertex_colors[:, :3] - expected).max() < 2


def test_a_surface_that_the_box_cuts_is_closed_there():
    mesh = extract_mesh(Sphere(0.7, (0.9, 0.0, 0.0)), BOUNDS, 31)
    assert mesh.is_watertight and mesh.euler_number == 2 and mesh.volume > 0
    assert mesh.vertices[:, 0].max() < 1.0 + SIDE / 30


def test_two_spheres_are_two_bodies():
    class Two(Sphere):
        def density(self, points):
            one, _ = Sphere(0.3, (0.5, 0, 0)).density(points)
            other, _ = Sphere(0.3, (-0.5, 0, 0)).density(points)
            return torch.maximum(one, other), points

    mesh = extract_mesh(Two(0.3, (0, 0, 0)), BOUNDS, 41)
    assert mesh.euler_number == 4 and mesh.body_count == 2


def test_a_voxel_field():
    field = VoxelField(BOUNDS, 25)
    axes = [np.linspace(low, high, n) for low, high, n in zip(*BOUNDS, field.index.shape, strict=True)]
    distance = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij"), -1), axis=-1)
    field.rows.data[:, 0] = torch.from_numpy(30 * (0.6 - distance)).float().flatten()
    field.rows.data[:, 1:4] = torch.tensor([9.0, -9.0, 0.0])
    field.keep(torch.from_numpy(distance[:-1, :-1, :-1] < 0.9))
    mesh = extract_mesh(field, field.bounds, 49)
    assert mesh.is_watertight and mesh.euler_number == 2
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.6).max() < 0.1
    assert (mesh.visual.vertex_colors[:, :3] == [255, 0, 128]).all()


@pytest.mark.parametrize("z_up", (True, False))
def test_glb_reads_back(z_up):
    mesh = extract_mesh(Sphere(0.7, (0.1, 0.0, 0.3)), BOUNDS, 21)
    data = mesh_bytes(mesh, z_up)
    assert data[:4] == b"glTF"
    back = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh")
    x, y, z = mesh.vertices.T
    expected = np.stack([x, z, -y], 1) if z_up else mesh.vertices
    np.testing.assert_allclose(back.vertices, expected, atol=1e-6)
    assert np.array_equal(back.faces, mesh.faces) and back.volume == pytest.approx(mesh.volume, rel=1e-4)
    assert np.array_equal(back.visual.vertex_colors, mesh.visual.vertex_colors)


def test_nothing_to_show():
    with pytest.raises(DataError, match="stops at most 0.0% of the light"):
        extract_mesh(Sphere(0.5, (9.0, 9.0, 9.0)), BOUNDS, 12)
    field = VoxelField(BOUNDS, 9)
    field.keep(torch.zeros_like(field.cells))
    with pytest.raises(DataError, match="field"):
        extract_mesh(field, BOUNDS, 12)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="level"):
            extract_mesh(Sphere(0.5, (0, 0, 0)), BOUNDS, 12, level)
    with pytest.raises(ConfigError, match="no cell"):
        extract_mesh(Sphere(0.5, (0, 0, 0)), BOUNDS, 1)
