"""A radiance field of values at lattice points: density, and colour that is linear in the viewing direction.

Only kept points hold values: a table with a row for each, and a grid of row numbers. Lego at 112 points a side keeps
7 % of its lattice, so that an optimizer has that many values to move.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

from compress3d.errors import ConfigError, DataError

COLOURS = 12  # red, green, blue; then what each gains with x, y and z of the viewing direction
EMPTY = -1e4  # raw density where nothing is kept: softplus of it is exactly 0
DENSITY = 100.0  # sigma of softplus(raw) = 1, in units of 1 / the box's longest side
START = -5.4  # raw density of a new field: 64 % of the light passes its box


def lattice_shape(bounds: Tensor | np.ndarray, size: int) -> tuple[int, int, int]:
    """Points (x, y, z) of a lattice with cubic cells, as nearly as whole numbers allow: `size` on the longest side.

    Example:
        >>> lattice_shape(torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 2.0]]), 33)
        (33, 17, 33)
    """
    if size < 2:
        raise ConfigError(f"a lattice of {size} points", "has no cell", "give 2 or more points a side")
    sides = np.asarray(bounds, np.float64)
    sides = sides[1] - sides[0]
    x, y, z = (max(1, round(float(side))) + 1 for side in sides / sides.max() * (size - 1))
    return x, y, z


def checked_bounds(bounds: Tensor | np.ndarray | Sequence, where: str = "bounds") -> Tensor:
    """Corners (2, 3), float32, of a box.

    Raises:
        DataError: they are no box.
    """
    corners = torch.as_tensor(np.asarray(bounds), dtype=torch.float32)
    if corners.shape != (2, 3) or not corners.isfinite().all() or not (corners[1] > corners[0]).all():
        raise DataError(where, f"{corners.tolist()} are no box", "give its lower and its upper corner, (2, 3)")
    return corners


class _Lookup(torch.autograd.Function):
    """Sums of rows of a table (K, C), `weights` (P, 8) of `rows` (P, 8) each: (P, C)."""

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.length = len(table)
        if not len(table):
            return table.new_zeros(len(rows), table.shape[1])
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        (grad,) = grads
        P, C = grad.shape
        if not ctx.length:
            return grad.new_zeros(0, C), None, None
        if grad.device.type != "cpu":
            spread = (weights.unsqueeze(-1) * grad.unsqueeze(1)).flatten(0, 1)
            return grad.new_zeros(ctx.length, C).index_add_(0, rows.flatten(), spread), None, None
        # One pass by one thread, the same sum every time: 3 ms for 40,000 points of 13 values where the gradient that
        # comes with embedding_bag takes 40, index_add_ 20.
        starts = np.arange(0, 8 * P + 1, 8, dtype=np.int32)
        matrix = sparse.csc_array((weights.numpy().ravel(), rows.numpy().ravel(), starts), shape=(ctx.length, P))
        return torch.from_numpy(matrix @ grad.contiguous().numpy()), None, None


class VoxelField(nn.Module):
    """Density and colour of degree 1 at kept lattice points, trilinear between them; empty elsewhere.

    A cell, the box between 8 neighbouring points, is kept where all 8 are. Implements `Field`.

    Attributes:
        rows: (K, 13), of kept points: raw density; colour before the sigmoid: red, green, blue, then what each gains
            with x, with y and with z of the viewing direction.
        index: int32 (X, Y, Z), row of a lattice point; -1 where it is not kept. Rows are in order of the index grid.
        bounds: (2, 3), first and last lattice point.

    A state of any size loads into it.

    Args:
        bounds: box (2, 3) that holds the scene.
        size: lattice points on the longest side of the box, all kept.

    Example:
        >>> field = VoxelField(((-1, -1, -1), (1, 1, 1)), size=9)
        >>> raw, features = field.density(torch.zeros(4, 3))
        >>> [round(x, 2) for x in raw.tolist()], field.colour(features, torch.eye(3)[:2], 2).shape
        ([-5.4, -5.4, -5.4, -5.4], torch.Size([4, 3]))
    """

    index: Tensor
    bounds: Tensor
    _cell: Tensor  # int32, flat grid of cells and an empty layer around: number of a kept cell, or -1
    _corners: Tensor  # int32 (cells, 8), rows of a kept cell's corners

    def __init__(self, bounds: Tensor | np.ndarray | Sequence = ((-1.0,) * 3, (1.0,) * 3), size: int = 48):
        super().__init__()
        corners = checked_bounds(bounds)
        shape = lattice_shape(corners, size)
        K = int(np.prod(shape))
        self.rows = nn.Parameter(torch.zeros(K, 1 + COLOURS))
        self.rows.data[:, 0] = START
        self.register_buffer("index", torch.arange(K, dtype=torch.int32).view(shape))
        self.register_buffer("bounds", corners)
        self.register_buffer("_cell", torch.empty(0, dtype=torch.int32), persistent=False)
        self.register_buffer("_corners", torch.empty(0, 8, dtype=torch.int32), persistent=False)
        self._number_cells()

    @classmethod
    def from_rows(cls, rows: Tensor, index: Tensor, bounds: Tensor | np.ndarray | Sequence) -> VoxelField:
        """A field of given values.

        Args:
            rows: (K, 13), raw density and 12 colours of kept points, in order of the index grid.
            index: (X, Y, Z), integers, row of a point or -1; or bool, True where a point is kept.
            bounds: (2, 3).

        Raises:
            DataError: the three do not fit each other.
        """
        if index.dtype == torch.bool:
            index = torch.where(index, index.flatten().cumsum(0).view(index.shape) - 1, -1)
        if index.dim() != 3 or min(index.shape) < 2 or rows.dim() != 2 or rows.shape[1] != 1 + COLOURS:
            problem = f"of shape {tuple(index.shape)} and rows {tuple(rows.shape)} are none"
            raise DataError("index grid", problem, "give (X, Y, Z) of at least 2, and rows (K, 13)")
        kept = index[index >= 0]
        if not torch.equal(kept.long().cpu(), torch.arange(len(rows))):
            raise DataError("index grid", f"does not number {len(rows)} rows in order", "give 0 to K - 1 and -1")
        field = cls(bounds, size=2)
        field._replace(rows.detach().clone(), index.to(torch.int32))
        return field.to(rows.device)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> Tensor:
        """bool (X, Y, Z): lattice points that hold values."""
        return self.index >= 0

    @property
    def cells(self) -> Tensor:
        """bool (X - 1, Y - 1, Z - 1): cells that are kept."""
        return self._cell.view([n + 1 for n in self.index.shape])[1:-1, 1:-1, 1:-1] >= 0

    @property
    def cell_count(self) -> int:
        """Kept cells."""
        return len(self._corners)

    @property
    def cell_side(self) -> float:
        """Edge of a cell, the shortest of three that are about equal."""
        points = torch.tensor(self.index.shape, device=self.bounds.device)
        return float(((self.bounds[1] - self.bounds[0]) / (points - 1)).min())

    @property
    def density_scale(self) -> float:
        """sigma of softplus(raw) = 1."""
        return DENSITY / float((self.bounds[1] - self.bounds[0]).max())

    # -- Field --------------------------------------------------------------------------------------------------------

    def density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Raw density (P,) and colours (P, 12) before the sigmoid of points (P, 3); see `Field`."""
        rows, weights, inside = self._around(points)
        raw, colours = _Lookup.apply(self.rows, rows, weights).split([1, COLOURS], 1)
        return torch.where(inside, raw.squeeze(-1), EMPTY), colours

    def activate(self, raw: Tensor) -> Tensor:
        """Density: softplus, in units that the size of the box does not change."""
        return self.density_scale * F.softplus(raw)

    def colour(self, features: Tensor, views: Tensor, ray: Tensor | int) -> Tensor:
        """RGB (P, 3) in [0, 1] of colours (P, 12); see `Field`."""
        x, y, z = (views.repeat_interleave(ray, 0) if isinstance(ray, int) else views.index_select(0, ray)).split(1, 1)
        base, of_x, of_y, of_z = features.split(3, 1)
        return base.addcmul(of_x, x).addcmul(of_y, y).addcmul(of_z, z).sigmoid()

    def cell_of(self, points: Tensor) -> Tensor:
        """Number (P,), int32, of the kept cell that holds a point (P, 3), in order of the grid; -1 where none does."""
        return self._place(points)[0]

    def _place(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Number of the cell that holds a point, int32 (P,), and where in it the point is, (P, 3) in [0, 1]."""
        X, Y, Z = self.index.shape
        cells = torch.tensor([X - 1, Y - 1, Z - 1], dtype=points.dtype, device=points.device)
        low, high = self.bounds.to(points.dtype)
        shrink = 1 - 2 * torch.finfo(points.dtype).eps  # the box's upper faces belong to it
        at = (points - low) * (cells / (high - low) * shrink)
        base = at.floor().clamp_(min=-1).minimum(cells)  # what is outside ends in the empty layer around the grid
        x, y, z = base.to(torch.int32).unbind(-1)
        return self._cell.index_select(0, (x * (Y + 1) + y) * (Z + 1) + z + ((Y + 1) * (Z + 1) + Z + 2)), at - base

    def _around(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (P, 8) of the corners around points, trilinear weights (P, 8), and whether the cell is kept (P,)."""
        cell, share = self._place(points)
        x, y, z = share.T.contiguous()
        of_y, of_z, of_both = y - y * z, z - y * z, y * z
        weights = torch.stack([1 - y - of_z, of_z, of_y, of_both])
        weights = torch.cat([weights * (1 - x), weights * x])
        if weights.device.type == "cpu":
            # Turned by a product with 1: 0.3 ms for 50,000 points where a copy takes 3. Never in bfloat16.
            with torch.autocast("cpu", enabled=False):
                weights = weights.T @ torch.eye(8, dtype=weights.dtype)
        else:
            weights = weights.T.contiguous()
        if not len(self._corners):
            return cell.new_zeros(len(points), 8), weights, cell >= 0
        return self._corners.index_select(0, cell.clamp(min=0)), weights, cell >= 0

    # -- changing what is kept ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def opacity(self) -> Tensor:
        """(X - 1, Y - 1, Z - 1) in [0, 1]: light that a kept cell stops along its edge, at its densest corner."""
        raw = torch.full(self.index.shape, EMPTY, dtype=self.rows.dtype, device=self.index.device)
        raw[self.kept] = self.rows[:, 0]
        stopped = -torch.expm1(-self.activate(raw) * self.cell_side)
        return F.max_pool3d(stopped[None, None], 2, 1)[0, 0] * self.cells

    @torch.no_grad()
    def keep(self, cells: Tensor) -> None:
        """Keep only cells, bool (X - 1, Y - 1, Z - 1), that also were kept before, and their corners."""
        corners = F.pad((cells & self.cells).to(torch.uint8), (1, 1) * 3)
        chosen = (F.max_pool3d(corners.float()[None, None], 2, 1)[0, 0] > 0) & self.kept
        rows = self.index[chosen].long()
        index = torch.where(chosen, chosen.flatten().cumsum(0).view(chosen.shape) - 1, -1).to(torch.int32)
        self._replace(self.rows[rows], index)

    @torch.no_grad()
    def resize(self, size: int) -> None:
        """Change to a lattice of `size` points on the longest side, which keeps every cell that touches a kept one.

        Values of new points are interpolated from kept ones around them.
        """
        old, device = self.index.shape, self.index.device
        shape = lattice_shape(self.bounds.cpu(), size)
        cells = self.cells
        for axis, (before, now) in enumerate(zip(old, shape, strict=True)):
            edges = np.arange(now, dtype=np.int64) * (before - 1)  # of new cells, in units of old ones / (now - 1)
            low, high = edges[:-1] // (now - 1), -(-edges[1:] // (now - 1))
            counts = F.pad(cells.to(torch.int32), [0, 0] * (2 - axis) + [1, 0]).cumsum(axis)
            ends = [torch.as_tensor(end, device=device) for end in (low, high)]
            cells = counts.index_select(axis, ends[1]) > counts.index_select(axis, ends[0])
        chosen = F.max_pool3d(F.pad(cells.float(), (1, 1) * 3)[None, None], 2, 1)[0, 0] > 0
        at = chosen.nonzero()
        place = at.double() * torch.tensor(
            [(b - 1) / (n - 1) for b, n in zip(old, shape, strict=True)], dtype=torch.float64, device=device
        )
        base = torch.minimum(place.floor(), torch.tensor(old, device=device) - 2).clamp(min=0)
        share, base = place - base, base.long()
        values = torch.zeros(len(at), 1 + COLOURS, dtype=self.rows.dtype, device=device)
        total = torch.zeros_like(values[:, :1])
        for corner in range(8):
            step = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1], device=device)
            row = self.index[tuple((base + step).T)].long()
            weight = torch.where(step == 1, share, 1 - share).prod(-1, keepdim=True).to(values.dtype)
            weight = weight * (row >= 0).unsqueeze(-1)
            values += weight * self.rows[row.clamp(min=0)]
            total += weight
        values = values / total.where(total > 0, 1)
        values[:, 0] = torch.where(total[:, 0] > 0, values[:, 0], START)
        index = torch.where(chosen, chosen.flatten().cumsum(0).view(chosen.shape) - 1, -1).to(torch.int32)
        self._replace(values, index)

    @torch.no_grad()
    def _replace(self, rows: Tensor, index: Tensor) -> None:
        """Other values, in a new parameter: torch remembers the shape of one that has had a gradient."""
        self.rows = nn.Parameter(rows.contiguous())
        self.index = index
        self._number_cells()

    def _number_cells(self) -> None:
        """Find kept cells and their corners."""
        X, Y, Z = self.index.shape
        corners = [
            self.index[x : x + X - 1, y : y + Y - 1, z : z + Z - 1].flatten()
            for x in (0, 1) for y in (0, 1) for z in (0, 1)
        ]  # fmt: skip
        kept = torch.stack([corner >= 0 for corner in corners]).all(0)
        numbers = torch.where(kept, kept.cumsum(0) - 1, -1).to(torch.int32).view(X - 1, Y - 1, Z - 1)
        self._cell = F.pad(numbers, (1,) * 6, value=-1).flatten()
        self._corners = torch.stack([corner[kept] for corner in corners], 1)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Of torch: takes the sizes of the state, in the same parameter: an optimizer made before still holds it."""
        rows, index = state_dict.get(f"{prefix}rows"), state_dict.get(f"{prefix}index")
        if isinstance(rows, Tensor) and isinstance(index, Tensor) and index.dim() == 3 and min(index.shape) >= 2:
            if rows.shape == (int((index >= 0).sum()), 1 + COLOURS):  # otherwise torch says which shapes differ
                self.rows.data = torch.empty_like(rows, dtype=self.rows.dtype, device=self.rows.device)
                self.rows.grad = None
                self.index = torch.empty_like(index, dtype=torch.int32, device=self.index.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._number_cells()
