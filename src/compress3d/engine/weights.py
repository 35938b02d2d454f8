"""Small shipped weights: where they lie, packed in float16 and int8, with their origin in the file's header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from compress3d import paths
from compress3d.engine.experiment import Experiment, experiments
from compress3d.errors import CheckpointError, Compress3DError
from compress3d.io import write_atomically

# A recurrence's input map is most of a network (12.6 of 13.3 million weights at 48:1): in 8 bit with one scale a row.
# Other parameters are stored in half precision; statistics of batch normalisation stay as they are, since a variance
# above 65,504 would become infinite.
QUANTIZED = ("lstm.input_map.weight", "gru.input_map.weight")


def weights_path(experiment: Experiment) -> Path:
    """Where the experiment's shipped weights lie."""
    return paths.weights() / f"{experiment.id}.safetensors"


def with_weights(scale: str, keep: Callable[[Experiment], bool] = lambda _: True) -> list[Experiment]:
    """Experiments of a scale whose weights are here and for which `keep` holds, in order of worth."""
    return [found for found in experiments(scale) if keep(found) and weights_path(found).is_file()]


def load_model(experiment: Experiment) -> nn.Module:
    """The experiment's network with its shipped weights, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: the weights are missing, damaged, or fit another network.
    """
    model = experiment.build()
    load_weights(model, weights_path(experiment))
    return model.eval()


def parameter_count(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in model.parameters())


def pack_weights(model: nn.Module) -> dict[str, Tensor]:
    """State of `model` as it is shipped: float16, the recurrence's input map as int8 with a float16 scale a row."""
    packed: dict[str, Tensor] = {}
    statistics = {name for name, _ in model.named_buffers()}
    for name, value in model.state_dict().items():
        if name in QUANTIZED:
            step = (value.abs().amax(1, keepdim=True) / 127).clamp(min=1e-6).half()
            packed[name] = (value / step.float()).round().clamp(-127, 127).to(torch.int8)
            packed[f"{name}.step"] = step
        else:
            packed[name] = value if name in statistics else value.half()
    return {name: value.contiguous() for name, value in packed.items()}


def unpack_weights(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `pack_weights`, in float32."""
    return {
        name: value.float() * packed[f"{name}.step"].float() if f"{name}.step" in packed else value.float()
        for name, value in packed.items()
        if not name.endswith(".step")
    }


def tensors_digest(packed: dict[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes of tensors, without a file's header, where the minutes stand."""
    found = hashlib.sha256()
    for name in sorted(packed):
        value = packed[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()


def save_weights(model: nn.Module, path: Path, origin: dict) -> str:
    """Ship `model`'s weights to `path` (safetensors); returns `tensors_digest` of them.

    `origin` says how they came to be (device, minutes, data hashes, losses, ...), and is kept in the file's header.
    """
    packed = {name: value.cpu() for name, value in pack_weights(model).items()}
    write_atomically(path, save(packed, metadata={"origin": json.dumps(origin, sort_keys=True)}))
    return tensors_digest(packed)


def weights_origin(path: Path) -> dict:
    """The `origin` that was given to `save_weights`.

    Raises:
        CheckpointError: the file is damaged, or was not written by `save_weights`.
    """
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["origin"])
    except Exception as error:  # safetensors raises its own family for every kind of damage
        raise CheckpointError(path, f"does not say where it comes from ({error})", "restore it from git") from error


def load_weights(model: nn.Module, path: Path) -> str:
    """Fill `model` from shipped weights; returns `tensors_digest` of them.

    Raises:
        CheckpointError: the file is missing, damaged, holds values that are not finite, or fits another network.
    """
    remedy = "restore the file from git, or train the run again with `compress3d train`"
    if not path.is_file():
        raise CheckpointError(path, "does not exist", "train the run first with `compress3d train`")
    try:
        packed = load(path.read_bytes())
        state = unpack_weights(packed)
    except Exception as error:  # safetensors raises its own family for every kind of damage
        raise CheckpointError(path, f"is no whole safetensors file ({error})", remedy) from error
    bad = [name for name, value in state.items() if not value.isfinite().all()]
    if bad:
        raise CheckpointError(path, f"holds values that are not finite in {', '.join(bad)}", remedy)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in own.keys() & found.keys() & set(getattr(model, "resizes", ())):  # takes the size of its state
        found[name] = own[name] if len(own[name]) == len(found[name]) else found[name]
    if own != found:
        name = sorted(set(own.items()) ^ set(found.items()))[0][0]
        problem = f"fits another network: {name} is {found.get(name)}, expected {own.get(name)}"
        raise CheckpointError(path, problem, remedy)
    try:
        model.load_state_dict(state)
    except (Compress3DError, RuntimeError) as error:  # sizes that do not go together
        raise CheckpointError(path, f"fits another network ({error})", remedy) from error
    return tensors_digest(packed)
