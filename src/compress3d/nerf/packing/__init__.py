"""Fields as small files, `.c3n`, that are written and read back.

model -> quantise -> masks and whole numbers, range coded -> file -> the quantised model, bit for bit
"""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.errors import Compress3DError, ConfigError, DataError
from compress3d.nerf.mlp import MLP, Linear
from compress3d.nerf.models import MLPScene, VoxelScene
from compress3d.nerf.packing import file
from compress3d.nerf.packing.arrays import (
    read_biases,
    read_matrices,
    read_table,
    write_biases,
    write_matrices,
    write_table,
)
from compress3d.nerf.packing.entropy import Reader, Writer
from compress3d.nerf.packing.masks import read_grid, write_grid
from compress3d.nerf.prune import named_layers
from compress3d.nerf.quantize import bias_bits, blocks_of, check_bits, quantise
from compress3d.nerf.rendering import FACTS, CoarseFine
from compress3d.nerf.voxels import COLOURS, VoxelField

__all__ = ["PACKED", "naive_bytes", "pack", "read_packed", "unpack"]

PACKED = ".c3n"  # how files end

LARGEST_SIDE, LARGEST_GRID = 512, 1 << 26  # of grids of cells or lattice points
WIDEST, DEEPEST, OCTAVES = 4096, 64, 32  # of networks
MOST_VALUES = 1 << 26  # of a field: 256 MiB in float32; the original's networks have 1.2 million
# Beyond so many values, so many a byte of stream at most: pruned weights cost little, but not nothing.
SMALL, VALUES_A_BYTE = 1 << 22, 1 << 8


def pack(model: nn.Module, bits: int = 8, name: str = "", rows: bool = True) -> bytes:
    """A field as the bytes of a file.

    Args:
        model: a `VoxelScene`, `MLPScene` or `CoarseFine`, with whatever masks it has.
        bits: 32 or 16 (IEEE values), or 2 to 12 (whole numbers).
        name: for people, such as the run's id.
        rows: a scale for each row of a matrix, else for each matrix.

    Raises:
        ConfigError: the model or the number of bits cannot be packed.
        DataError: a value is not finite; the coder is not installed.
    """
    check_bits(bits)
    if not isinstance(model, VoxelScene | MLPScene | CoarseFine):
        raise ConfigError(type(model).__name__, "cannot be packed", "take a voxel field or a network of a scene")
    for key, value in model.named_parameters():
        if not value.isfinite().all():
            raise DataError(key, "holds values that are not finite", "train the field again")
    facts = {key: getattr(model, key).item() for key in FACTS}
    header: dict = {"name": name, "bits": bits, "rows": rows, "scene": facts}
    header["content"] = _content(quantise(copy.deepcopy(model), bits, rows))
    writer = Writer()
    if isinstance(model, VoxelScene):
        field = model.voxels
        header |= {"kind": "voxels", "relative_step": model.relative_step, "bounds": field.bounds.tolist()}
        header["grid"] = list(field.index.shape)
        write_grid(writer, field.kept.cpu().numpy())
        write_table(writer, header, _values(field.rows), bits)
    elif isinstance(model, MLPScene):
        cells = model.cells
        header |= {"kind": "mlp", "networks": {"mlp": model.mlp.architecture}, "samples": model.samples}
        header |= {"scale": model.scale, "bounds": cells.bounds.tolist(), "grid": list(cells.occupied.shape)}
        write_grid(writer, cells.occupied.cpu().numpy())
        _write_networks(writer, header, model, bits, rows)
    else:
        both = {"coarse": model.coarse.architecture, "fine": model.fine.architecture}
        header |= {"kind": "coarse-fine", "networks": both, "samples": list(model.samples), "noise": model.noise}
        _write_networks(writer, header, model, bits, rows)
    return file.write(header, writer.done())


def unpack(data: bytes, name: str = "file") -> nn.Module:
    """The field in a file, in evaluation mode: its tensors are those of the quantised model.

    Args:
        data: contents of the file.
        name: of the file, for messages.

    Raises:
        DataError: the file is damaged, of another version, or no packed field.
    """
    header, stream = file.read(data, name)
    try:
        model = _unpack(header, stream, name).eval()
    except (Compress3DError, ValueError, TypeError, KeyError, IndexError, OverflowError, RuntimeError) as error:
        if isinstance(error, DataError) and str(error).startswith(f"{name}:"):
            raise
        raise DataError(name, f"holds a field that cannot be ({error})", file.RESTORE) from error
    if _content(model) != header.get("content"):
        raise DataError(name, "holds other values than were written into it", file.RESTORE)
    return model


def read_packed(path: str | Path) -> nn.Module:
    """The field in a file; DataError as of `unpack`, or where there is no such file."""
    path = Path(path)
    if not path.is_file():
        raise DataError(path, "does not exist", "write it with `compress3d nerf pack`")
    return unpack(path.read_bytes(), str(path))


def naive_bytes(model: nn.Module) -> int:
    """Bytes of all parameters in float32 after zstd at its strongest: what knows nothing of networks."""
    try:
        import zstandard
    except ImportError as error:
        raise DataError("zstandard", "is not installed", "run `pip install 'compress3d[nerf]'`") from error
    raw = b"".join(_values(value).tobytes() for value in model.parameters())
    return len(zstandard.ZstdCompressor(19).compress(raw))


def _content(model: nn.Module) -> str:
    """16 digits of the sha256 of all values and masks, as they act.

    A header that does not fit its stream (another depth, another grid) decodes to something, as would a coder that
    rounds otherwise: this is what tells.
    """
    found = hashlib.sha256()
    fields = [model.voxels] if isinstance(model, VoxelScene) else []
    parts: list[Tensor] = [part for field in fields for part in (field.rows, field.kept)]
    if isinstance(model, MLPScene):
        parts.append(model.cells.occupied)
    for layer in named_layers(model).values() if not fields else ():
        parts += [layer.acting_weight, layer.acting_bias, *([] if layer.mask is None else [layer.mask])]
    for part in parts:
        values = part.detach().cpu().numpy()
        values = values if values.dtype == bool else values.astype("<f4") + 0.0  # no minus zero
        found.update(f"{values.shape}".encode() + values.tobytes())
    return found.hexdigest()[:16]


def _values(value: Tensor) -> np.ndarray:
    return value.detach().float().cpu().numpy()


def _write_networks(writer: Writer, header: dict, model: nn.Module, bits: int, rows: bool) -> None:
    layers = named_layers(model)
    masks = {key: None if of.mask is None else of.mask.cpu().numpy() for key, of in layers.items()}
    header["masked"] = [mask is not None for mask in masks.values()]
    weights = {key: (_values(of.acting_weight), masks[key]) for key, of in layers.items()}
    write_matrices(writer, header, weights, _blocks(layers, bits, rows), bits)
    write_biases(writer, header, [_values(of.acting_bias) for of in layers.values()], bias_bits(bits))


def _blocks(layers: dict[str, Linear], bits: int, rows: bool) -> dict[str, tuple[int, ...] | None]:
    return {key: blocks_of(layer.joined, bits) if rows else None for key, layer in layers.items()}


def _read_networks(reader: Reader, header: dict, model: nn.Module, bits: int, rows: bool, name: str) -> None:
    layers = named_layers(model)
    masked = file.entry(header, "masked", list, name)
    if len(masked) != len(layers) or not all(isinstance(value, bool) for value in masked):
        raise DataError(name, "does not say which layers are pruned", file.RESTORE)
    shapes = {key: (of.out_features, of.in_features) for key, of in layers.items()}
    pruned = dict(zip(layers, masked, strict=True))
    found = read_matrices(reader, header, shapes, pruned, _blocks(layers, bits, rows), bits, name)
    biases = read_biases(reader, header, [shape[0] for shape in shapes.values()], bias_bits(bits), name)
    with torch.no_grad():
        for (key, layer), bias in zip(layers.items(), biases, strict=True):
            values, mask = found[key]
            layer.weight.copy_(torch.from_numpy(values))
            layer.bias.copy_(torch.from_numpy(bias))
            if mask is not None:
                layer.add_mask(torch.from_numpy(mask))


def _unpack(header: dict, stream: bytes, name: str) -> nn.Module:
    kind, bits = file.entry(header, "kind", str, name), file.whole_number(header, "bits", 2, 32, name)
    rows = file.entry(header, "rows", bool, name)
    check_bits(bits)
    reader = Reader(stream, name)
    model: VoxelScene | MLPScene | CoarseFine
    if kind == "voxels":
        kept = torch.from_numpy(read_grid(reader, _grid(header, stream, name)).copy())
        K = int(kept.sum())
        _fits(K * (1 + COLOURS), stream, name)
        values = torch.from_numpy(read_table(reader, header, (K, 1 + COLOURS), bits, name))
        bounds = file.entry(header, "bounds", list, name)
        model = VoxelScene(
            bounds, sizes=((0, 2),), prune=(), trim=None, relative_step=_positive(header, "relative_step", name)
        )
        model.voxels = VoxelField.from_rows(values, kept, bounds)
    elif kind == "mlp":
        grid = _grid(header, stream, name)
        mlp = _network(header, "mlp", stream, name)
        samples = file.whole_number(header, "samples", 1, 1 << 16, name)
        model = MLPScene(mlp, None, samples, _positive(header, "scale", name))
        cells = torch.from_numpy(read_grid(reader, grid).copy())
        model.cells.set(cells, torch.tensor(file.entry(header, "bounds", list, name), dtype=torch.float32))
        _read_networks(reader, header, model, bits, rows, name)
    elif kind == "coarse-fine":
        coarse, fine = (_network(header, which, stream, name) for which in ("coarse", "fine"))
        both = file.entry(header, "samples", list, name)
        if len(both) != 2 or not all(type(count) is int and 1 <= count <= 1 << 16 for count in both):
            raise DataError(name, f"has samples {both}", file.RESTORE)
        noise = float(file.entry(header, "noise", (int, float), name))
        model = CoarseFine(coarse, fine, near=0.0, far=1.0, white=True, samples=(both[0], both[1]), noise=noise)
        _read_networks(reader, header, model, bits, rows, name)
    else:
        raise DataError(name, f"holds a field of kind {kind!r}", "install the newest release")
    facts = file.entry(header, "scene", dict, name)
    for key in FACTS:
        value = facts.get(key)
        if not isinstance(value, bool if key in ("white", "ndc") else int | float) or not math.isfinite(value):
            raise DataError(name, f"does not say {key} of its scene", file.RESTORE)
        getattr(model, key).fill_(value)
    return model


def _positive(header: dict, key: str, name: str) -> float:
    value = float(file.entry(header, key, (int, float), name))
    if not 0 < value < 1e9:
        raise DataError(name, f"has {key} {value:g}", file.RESTORE)
    return value


def _grid(header: dict, stream: bytes, name: str) -> tuple[int, int, int]:
    shape = file.entry(header, "grid", list, name)
    fits = len(shape) == 3 and all(type(n) is int and 1 <= n <= LARGEST_SIDE for n in shape)
    if not fits or math.prod(shape) > LARGEST_GRID:
        raise DataError(name, f"has a grid of {shape}, too large or none", file.RESTORE)
    _fits(math.prod(shape), stream, name)
    return shape[0], shape[1], shape[2]


def _fits(count: int, stream: bytes, name: str) -> None:
    """DataError: no field, or no stream of this length, has so many values: said before they are made."""
    if count > MOST_VALUES or count > max(SMALL, VALUES_A_BYTE * len(stream)):
        raise DataError(name, f"claims {count} values in {len(stream)} bytes", file.RESTORE)


def _network(header: dict, which: str, stream: bytes, name: str) -> MLP:
    of = file.entry(file.entry(header, "networks", dict, name), which, dict, name)
    depth, width = (file.whole_number(of, key, 1, most, name) for key, most in (("depth", DEEPEST), ("width", WIDEST)))
    position, direction = (file.whole_number(of, key, 0, OCTAVES, name) for key in ("L_position", "L_direction"))
    _fits(2 * (depth + 2) * width * (width + 6 * position + 3), stream, name)  # of two such networks
    if (skip := of.get("skip", "missing")) is not None:
        skip = file.whole_number(of, "skip", 0, DEEPEST, name)
    first, feature = (file.entry(of, key, bool, name) for key in ("first_relu", "feature_relu"))
    return MLP(depth, width, skip, position, direction, first, feature)
