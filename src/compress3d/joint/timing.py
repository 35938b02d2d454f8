"""Run time of every block and joint model, forward and backward (Table 3): each really timed, none summed.

Weights are random: no time depends on them. All blocks take turns in one process, so that a busy machine troubles
all alike, and the table is about ratios.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compress3d import results
from compress3d.engine.hardware import commit, describe
from compress3d.joint.compression import CompressionRNN
from compress3d.joint.direct import Direct
from compress3d.joint.implicit import Implicit
from compress3d.joint.sequential import Sequential
from compress3d.losses import compression_loss
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale

VIEWS, ITERATIONS = 5, 4  # "a typical scenario", Sec. 4.4
BASELINE = "separate"  # N_original, then 3D-LSTM-3: what the paper's percentages compare with


def alternate(
    calls: dict[str, Callable[[], object]], repeats: int, synchronize: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Median milliseconds of each call; the calls take turns, so that a busy machine troubles all alike.

    Args:
        calls: what to time, by name.
        repeats: rounds; one more goes before and warms up.
        synchronize: waits for a device that runs behind.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            synchronize()
            started = time.perf_counter()
            call()
            synchronize()
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def blocks(
    scale_name: str, iterations: int, small_iterations: int
) -> dict[str, tuple[nn.Module, Callable[..., Tensor]]]:
    """Rows of Table 3: name -> network and what it computes from views (B, V, 3, H, W).

    "direct" decodes its images too, as the paper counts it; "direct_voxels" leaves out what only people look at.

    Args:
        scale_name: sizes.
        iterations: of N_original.
        small_iterations: of N_small.
    """
    size = scale(scale_name)

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


def objective(model: nn.Module, x: Tensor, truth: Tensor, iterations: int, run: Callable[..., Tensor]) -> Tensor:
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


def measure(
    scale_name: str = "paper",
    batch: int = 1,
    views: int = VIEWS,
    iterations: int = ITERATIONS,
    same_rate: bool = False,
    repeats: int = 5,
    device: str | None = None,
) -> dict:
    """Milliseconds, multiply-adds and savings of every block.

    Args:
        scale_name: sizes; "paper" is Table 3's.
        batch: objects.
        views: V of each.
        iterations: N of N_original, and of N_small unless `same_rate`.
        same_rate: let N_small take twice the iterations: with half the bits in each, that is the same rate.
        repeats: rounds; the median counts.
        device: "cpu" or "cuda"; a GPU where there is one.

    Returns:
        `rows`: name -> `forward` and `backward` in ms, `gmac`, and `saving_forward`, `saving_backward`, per cent of the
        time of `separate`; and the conditions.
    """
    kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    size, small = scale(scale_name), (2 if same_rate else 1) * iterations
    x = torch.rand(batch, views, 3, size.image_size, size.image_size, device=kind)
    truth = torch.rand(batch, *(size.grid,) * 3, device=kind) > 0.9
    found = {name: (model.to(kind), run) for name, (model, run) in blocks(scale_name, iterations, small).items()}
    losses: dict[str, Tensor] = {}

    def forward(name: str) -> Callable[[], Tensor]:
        model, run = found[name]
        return torch.no_grad()(lambda: run(model.eval(), x))

    def prepare(name: str) -> Callable[[], None]:
        model, run = found[name]
        N = iterations if name in ("separate", "compression_original") else small

        def call() -> None:
            losses[name] = objective(model.train(), x, truth, N, run)

        return call

    def backward(name: str) -> Callable[[], None]:
        def call() -> None:
            losses.pop(name).backward()
            found[name][0].zero_grad(set_to_none=True)

        return call

    calls = {}
    for name in found:
        calls |= {
            f"{name}/forward": forward(name),
            f"{name}/prepare": prepare(name),
            f"{name}/backward": backward(name),
        }
    times = alternate(calls, repeats, torch.cuda.synchronize if kind.type == "cuda" else lambda: None)
    rows = {}
    for name, (model, run) in found.items():
        rows[name] = {"gmac": multiply_adds(run, model.eval(), x)}
        for way in ("forward", "backward"):
            rows[name][way] = times[f"{name}/{way}"]
            rows[name][f"saving_{way}"] = 100 * (1 - times[f"{name}/{way}"] / times[f"{BASELINE}/{way}"])
    return {
        "rows": rows, "scale": scale_name, "batch": batch, "views": views, "iterations": iterations,
        "small_iterations": small, "repeats": repeats, "threads": torch.get_num_threads(),
    }  # fmt: skip


def table3(scale_name: str = "paper", repeats: int = 5, device: str | None = None) -> dict:
    """Table 3 as the paper counts (4 iterations each) and at one rate; writes results/<scale>/timing-<device>.json."""
    started = time.monotonic()
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    run_id = f"{scale_name}/timing-{kind}"
    data = {
        "experiment": {**results.study_record(scale_name, "timing", "timing"), "id": run_id},
        "points": [],  # nothing here belongs on a curve of results
        "as_printed": measure(scale_name, repeats=repeats, device=kind),
        "same_rate": measure(scale_name, repeats=repeats, device=kind, same_rate=True),
        "provenance": {
            "commands": [f"compress3d timing --scale {scale_name} --device {kind}"],
            **describe(torch.device(kind)),
            "device": torch.cuda.get_device_name() if kind == "cuda" else f"{platform.machine()} CPU",
            "precision": "float32",
            "commit": commit(),
            "minutes": (time.monotonic() - started) / 60,
            "versions": results.versions(),
        },
    }
    results.save(run_id, data)
    return results.load(run_id)
