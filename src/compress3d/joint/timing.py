"""Run time of every block and joint model, forward and backward (Table 3): each really timed, none summed.

Weights are random: no time depends on them. All blocks take turns in one process, so that a busy machine troubles
all alike, and the table is about ratios.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from compress3d import results
from compress3d.engine.hardware import commit
from compress3d.joint.compression import CompressionRNN
from compress3d.joint.direct import Direct
from compress3d.joint.implicit import Implicit
from compress3d.joint.sequential import Sequential
from compress3d.losses import compression_loss
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale as sizes

VIEWS, ITERATIONS = 5, 4  # "a typical scenario", Sec. 4.4
BASELINE = "separate"  # N_original, then 3D-LSTM-3: what the paper's percentages compare with


def alternate(
    calls: dict[str, Callable[[], object]],
    repeats: int,
    synchronize: Callable[[], None] = lambda: None,
    label: str = "",
) -> dict[str, float]:
    """Median milliseconds of each call over `repeats` rounds and one to warm up; the calls take turns.

    `synchronize` waits for a device that runs behind; a progress bar is shown under `label`, where there is one.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    with tqdm(total=(repeats + 1) * len(calls), desc=label, disable=not label, leave=False) as bar:
        for name, call in list(calls.items()) * (repeats + 1):
            synchronize()
            started = time.perf_counter()
            call()
            synchronize()
            times[name].append(1e3 * (time.perf_counter() - started))
            bar.update()
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def blocks(
    scale_name: str, iterations: int, small_iterations: int
) -> dict[str, tuple[nn.Module, Callable[..., Tensor]]]:
    """Rows of Table 3: name -> network and what it computes from views (B, V, 3, H, W).

    "direct" decodes its images too, as the paper counts it; "direct_voxels" leaves out what only people look at.
    N_original makes `iterations`, N_small `small_iterations`.
    """
    size = sizes(scale_name)

    def decoded(model: CompressionRNN, x: Tensor, N: int) -> Tensor:
        return model(x.flatten(0, 1), N).decoded

    return {
        "reconstruction": (Reconstruction(size), lambda model, x: model(x)),
        "reconstruction_encoder": (Reconstruction(size), lambda model, x: model.encode(x.flatten(0, 1))),
        "compression_original": (CompressionRNN(size, "original"), lambda model, x: decoded(model, x, iterations)),
        "compression_small": (CompressionRNN(size, "small"), lambda model, x: decoded(model, x, small_iterations)),
        "separate": (Sequential(size, "original"), lambda model, x: model(x, iterations)),
        "sequential": (Sequential(size), lambda model, x: model(x, small_iterations)),
        "direct": (Direct(size), lambda model, x: model.recover(model.compress(x, small_iterations), x.shape[1])),
        "direct_voxels": (Direct(size), lambda model, x: model(x, small_iterations)),
        "implicit": (Implicit(size, rate=384), lambda model, x: model(x)),
    }


def objective(model: Any, x: Tensor, truth: Tensor, iterations: int, run: Callable[..., Tensor]) -> Tensor:
    """The loss that a block is trained with; the encoder alone has none, there the sum of its codes."""
    if isinstance(model, CompressionRNN):
        return compression_loss(x.flatten(0, 1), run(model, x))
    out = run(model, x)
    if out.ndim != truth.ndim:
        return out.sum()
    return model.loss(x, truth, iterations).total


def multiply_adds(call: Callable[..., object], *inputs) -> float:
    """Billions of multiply-adds of `call(*inputs)`, counted by PyTorch: what a time is to be read against.

    Example:
        >>> multiply_adds(torch.mm, torch.zeros(100, 1000), torch.zeros(1000, 10_000))
        1.0
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*inputs)
    return counter.get_total_flops() / 2e9


def passes(model: Any, run: Callable[..., Tensor], x: Tensor, truth: Tensor, iterations: int) -> dict[str, Callable]:
    """A forward pass of a block, and its training step in two parts: "prepare" ends at the loss."""
    losses: list[Tensor] = []

    def forward() -> None:
        with torch.no_grad():
            run(model.eval(), x)

    def prepare() -> None:
        losses.append(objective(model.train(), x, truth, iterations, run))

    def backward() -> None:
        losses.pop().backward()
        model.zero_grad(set_to_none=True)

    return {"forward": forward, "prepare": prepare, "backward": backward}


def measure(scale_name: str, device: str, same_rate: bool = False, repeats: int = 5) -> dict[str, Any]:
    """Milliseconds, medians of so many rounds, multiply-adds and savings of every block, for the views of one object.

    With `same_rate`, N_small takes twice the iterations: with half the bits in each, that is the same rate.

    Returns:
        `rows`: name -> `forward` and `backward` in ms, `gmac`, and `saving_forward`, `saving_backward`, per cent of the
        time of `separate`; and the conditions.
    """
    size, small = sizes(scale_name), (2 if same_rate else 1) * ITERATIONS
    x = torch.rand(1, VIEWS, 3, size.image_size, size.image_size, device=device)
    truth = torch.rand(1, *(size.grid,) * 3, device=device) > 0.9
    found = {name: (model.to(device), run) for name, (model, run) in blocks(scale_name, ITERATIONS, small).items()}
    calls: dict[str, Callable[[], object]] = {}
    for name, (model, run) in found.items():
        N = ITERATIONS if name in ("separate", "compression_original") else small
        calls |= {f"{name}/{way}": call for way, call in passes(model, run, x, truth, N).items()}
    times = alternate(calls, repeats, torch.cuda.synchronize if device == "cuda" else lambda: None)
    rows = {}
    for name, (model, run) in found.items():
        rows[name] = {"gmac": multiply_adds(run, model.eval(), x)}
        for way in ("forward", "backward"):
            rows[name][way] = times[f"{name}/{way}"]
            rows[name][f"saving_{way}"] = 100 * (1 - times[f"{name}/{way}"] / times[f"{BASELINE}/{way}"])
    return {
        "rows": rows, "scale": scale_name, "batch": 1, "views": VIEWS, "iterations": ITERATIONS,
        "small_iterations": small, "repeats": repeats, "threads": torch.get_num_threads(),
    }  # fmt: skip


def run(scale: str = "paper", repeats: int = 5, device: str | None = None) -> Iterator[str]:
    """Time every block and joint model, forward and backward (Table 3), on "cpu" or "cuda".

    As the paper counts, 4 iterations each, and at one rate; writes `results/<scale>/timing-<device>.json`.
    """
    started = time.monotonic()
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    run_id = f"{scale}/timing-{kind}"
    found = {name: measure(scale, kind, name == "same_rate", repeats) for name in ("as_printed", "same_rate")}
    data = {
        "experiment": {**results.study_record(scale, "timing", "timing"), "id": run_id},
        "points": [],  # nothing here belongs on a curve of results
        **found,
        "provenance": {
            "commands": [f"compress3d study timing --scale {scale} --device {kind}"],
            "device": torch.cuda.get_device_name() if kind == "cuda" else f"{platform.machine()} CPU",
            "precision": "float32",
            "commit": commit(),
            "minutes": (time.monotonic() - started) / 60,
            "versions": results.versions(),
        },
    }
    results.save(run_id, data)
    for name, of in found.items():
        yield f"{name}: {of['iterations']} iterations of N_original, {of['small_iterations']} of N_small"
        for block, row in of["rows"].items():
            both = [f"{w} {row[w]:8.1f} ms ({row[f'saving_{w}']:5.1f} % less)" for w in ("forward", "backward")]
            yield f"  {block:24s} {row['gmac']:7.2f} GMAC  {'  '.join(both)}"
