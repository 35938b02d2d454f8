"""Trained networks of others: checkpoints of krrish94/nerf-pytorch, and the original's lists of Keras arrays.

| ours | the port (`FlexibleNeRFModel`) | the original (bmild/nerf), in this order, matrices as (in, out) |
|---|---|---|
| position.0 | layer1 | 0, 1: weight, bias |
| position.n | layers_xyz.n-1 | 2 n, 2 n + 1 |
| feature | fc_feat | then |
| direction | layers_dir.0 | then |
| colour_head | fc_rgb | then |
| density_head | fc_alpha | last |

The port's network has no ReLU after its first layer and one after `fc_feat`. Where its configuration asks for layers
that take the encoded position again, its forward pass fails, so no trained network has them. Its evaluation script
leaves out the sizes of the configuration: what a file holds says its shapes.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compress3d.errors import CheckpointError
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rendering import CoarseFine

PARTS = {"coarse": "model_coarse_state_dict", "fine": "model_fine_state_dict"}
HEADS = {"feature": "fc_feat", "direction": "layers_dir.0", "colour_head": "fc_rgb", "density_head": "fc_alpha"}
KERAS_HEADS = ("feature", "direction", "colour_head", "density_head")
RIGHT_FILE = "give a checkpoint of krrish94/nerf-pytorch's FlexibleNeRFModel, or download it again"
RIGHT_ARRAYS = "give a model_*.npy of bmild/nerf, or download it again"


def load_port(
    path: str | Path,
    near: float,
    far: float,
    white: bool,
    ndc: bool = False,
    samples: tuple[int, int] = (64, 64),
    noise: float = 0.0,
) -> CoarseFine:
    """Both networks of a checkpoint of krrish94/nerf-pytorch, on the CPU; no code in the file is run.

    Sizes are read from the weights. What a checkpoint does not say stands in the `config.yml` beside it: see
    `CoarseFine` for the arguments.

    Raises:
        CheckpointError: the file is missing, damaged, holds code or values that are not finite, or another network.

    Example:
        >>> load_port("checkpoint199999.ckpt", near=2, far=6, white=True)
        Traceback (most recent call last):
        compress3d.errors.CheckpointError: checkpoint199999.ckpt: does not exist. What to do: give a checkpoint of \
krrish94/nerf-pytorch's FlexibleNeRFModel, or download it again.
    """
    path = Path(path)
    content = _read_torch(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(path, f"holds a {type(content).__name__}, not networks by name", RIGHT_FILE)
    networks = {}
    for part, key in PARTS.items():
        state = content.get(key)
        if not isinstance(state, Mapping) or not state:
            raise CheckpointError(path, f"holds no {part} network ({key})", RIGHT_FILE)
        networks[part] = from_port(state, f"{path}, {key}")
    return CoarseFine(networks["coarse"], networks["fine"], near, far, white, ndc, samples, noise)


def from_port(state: Mapping[str, Tensor], name: str = "weights") -> MLP:
    """The network of a state dict of the port.

    Args:
        name: of the state, for messages.

    Raises:
        CheckpointError: a weight is missing, left over, of another shape, or not finite.

    Example:
        >>> field = MLP(3, 16, skip=None, first_relu=False, feature_relu=True)
        >>> from_port(to_port(field)).architecture == field.architecture
        True
    """
    depth = 1
    while f"layers_xyz.{depth - 1}.weight" in state:
        depth += 1
    first, direction = _matrix(state, "layer1.weight", name), _matrix(state, "layers_dir.0.weight", name)
    width = len(first)
    position_octaves, direction_octaves = _octaves(first.shape[1]), _octaves(direction.shape[1] - width)
    if position_octaves is None or direction_octaves is None or width < 2:
        problem = f"layer1.weight {tuple(first.shape)} and layers_dir.0.weight {tuple(direction.shape)} fit no encoding"
        raise CheckpointError(name, problem, RIGHT_FILE)
    field = MLP(depth, width, None, position_octaves, direction_octaves, first_relu=False, feature_relu=True)
    expected = to_port(field)
    left = [key for key in state if key not in expected]
    if left:
        raise CheckpointError(name, f"holds {left[0]}, which has no place in the network", RIGHT_FILE)
    names = _port_names(depth)
    _fill(field, {own: _take(state, key, name) for own, key in names.items()}, names, name, RIGHT_FILE)
    return field


def to_port(field: MLP) -> dict[str, Tensor]:
    """State dict of `field`, a network as `from_port` makes it, under the port's names; masked weights are 0."""
    values = _values(field)
    return {key: values[own] for own, key in _port_names(field.depth).items()}


def read_keras(path: str | Path) -> list[np.ndarray]:
    """The arrays of a `model_*.npy` of the original, a pickled list, read without running any code in it.

    Raises:
        CheckpointError: the file is missing, damaged, or holds anything but arrays.
    """
    path = Path(path)
    data = _read(path, RIGHT_ARRAYS)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = read(file)
        content = _ArraysOnly(file).load() if dtype.hasobject else np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # pickle and numpy raise what they find: EOFError, ValueError, MemoryError, ...
        raise CheckpointError(path, f"is no list of arrays ({_short(error)})", RIGHT_ARRAYS) from error
    arrays = list(content) if isinstance(content, (list, np.ndarray)) else []
    if not arrays or not all(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in arrays):
        raise CheckpointError(path, "is no list of arrays of numbers", RIGHT_ARRAYS)
    return arrays


def from_keras(arrays: Sequence[np.ndarray], field: MLP | None = None, name: str = "arrays") -> MLP:
    """The original's network, `MLP()` or the `field` that is given, filled from its arrays.

    Raises:
        CheckpointError: there are too few or too many, or one is of another shape or not finite.

    Example:
        >>> field = MLP(2, 16, L_position=2)
        >>> arrays = to_keras(field)
        >>> again = from_keras(arrays, MLP(2, 16, L_position=2))
        >>> len(arrays), bool((again.feature.weight == field.feature.weight).all())
        (12, True)
    """
    field = MLP() if field is None else field
    names = _keras_names(field.depth)
    if len(arrays) != len(names):
        problem = f"hold {len(arrays)} arrays, not {len(names)}"
        raise CheckpointError(name, problem, "name the network they are of")
    found = {own: torch.from_numpy(np.array(value, np.float32).T) for own, value in zip(names, arrays, strict=True)}
    _fill(field, found, {own: f"array {n} ({own})" for n, own in enumerate(names)}, name, RIGHT_ARRAYS)
    return field


def to_keras(field: MLP) -> list[np.ndarray]:
    """float32 arrays of `field` in the order of the original; masked weights are 0."""
    values = _values(field)
    return [np.ascontiguousarray(values[own].float().cpu().numpy().T) for own in _keras_names(field.depth)]


# -- names and values ------------------------------------------------------------------------------------------------


def _port_names(depth: int) -> dict[str, str]:
    layers = {"position.0": "layer1"} | {f"position.{n}": f"layers_xyz.{n - 1}" for n in range(1, depth)} | HEADS
    return {f"{own}.{part}": f"{key}.{part}" for own, key in layers.items() for part in ("weight", "bias")}


def _keras_names(depth: int) -> list[str]:
    layers = [*(f"position.{n}" for n in range(depth)), *KERAS_HEADS]
    return [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


def _values(field: MLP) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, layer in field.layers().items():
        found |= {f"{name}.weight": layer.acting_weight.detach().clone(), f"{name}.bias": layer.bias.detach().clone()}
    return found


def _octaves(channels: int) -> int | None:
    return (channels - 3) // 6 if channels >= 3 and (channels - 3) % 6 == 0 else None


def _take(state: Mapping[str, Tensor], key: str, name: str) -> Tensor:
    value = state.get(key)
    if not isinstance(value, Tensor):
        raise CheckpointError(name, f"{key} is missing", RIGHT_FILE)
    return value


def _matrix(state: Mapping[str, Tensor], key: str, name: str) -> Tensor:
    value = _take(state, key, name)
    if value.dim() != 2:
        raise CheckpointError(name, f"{key} is {tuple(value.shape)}, not a matrix", RIGHT_FILE)
    return value


def _fill(field: MLP, found: dict[str, Tensor], names: Mapping[str, str], name: str, remedy: str) -> None:
    """Overwrite all of `field`, once every value has been looked at."""
    for own, parameter in field.named_parameters():
        value = found[own]
        if value.shape != parameter.shape:
            problem = f"{names[own]} is {tuple(value.shape)}, not {tuple(parameter.shape)}"
            raise CheckpointError(name, problem, remedy)
        if not value.is_floating_point() or not value.isfinite().all():
            raise CheckpointError(name, f"{names[own]} holds values that are not finite numbers", remedy)
    field.load_state_dict(found)


# -- files -----------------------------------------------------------------------------------------------------------


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(path, "does not exist", remedy) from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", remedy) from error


def _read_torch(path: Path) -> Any:
    data = _read(path, RIGHT_FILE)
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):  # PyTorch does not look at the checksums of its own files
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                broken = archive.testzip()
            if broken:
                raise CheckpointError(path, f"is damaged: {broken} has another checksum", RIGHT_FILE)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        problem = f"holds code or other objects than tensors, or is damaged ({_short(error)})"
        raise CheckpointError(path, problem, RIGHT_FILE) from error
    except Exception as error:  # zip, pickle and torch each raise their own for every kind of damage
        raise CheckpointError(path, f"is no whole PyTorch checkpoint ({_short(error)})", RIGHT_FILE) from error


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:120].rstrip(". ")


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled lists of arrays and nothing else: an array is built from a type and bytes, and no code is run."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # bytes in protocol 2
            return _latin1
        raise pickle.UnpicklingError(f"{module}.{name} is refused")


def _empty(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    if kind is not np.ndarray or tuple(shape) != (0,):  # a larger one would be allocated before its bytes are seen
        raise pickle.UnpicklingError("an array begins with a size")
    return np.ndarray((0,), np.int8)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding} is refused")
    return text.encode("latin1")
