"""Speed against naive references: each row is a ratio of two times from the same run, on the same machine.

python -m benchmarks.run [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

from benchmarks.naive import naive_compression, naive_layout, naive_reconstruction
from compress3d import results
from compress3d.engine.hardware import describe, native_bfloat16
from compress3d.errors import Compress3DError
from compress3d.io import write_atomically
from compress3d.joint.compression import CompressionRNN
from compress3d.joint.timing import alternate
from compress3d.losses import compression_loss, occupancy_loss
from compress3d.r2n2.convert import to_pytorch
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale

CPU = torch.device("cpu")


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        name: what is timed.
        reference_ms, ours_ms: milliseconds, medians.
    """

    name: str
    reference_ms: float
    ours_ms: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.reference_ms / self.ours_ms


def precisions() -> list[torch.dtype]:
    """float32, and bfloat16 where the processor computes in it by itself; else it is far slower than float32."""
    return [torch.float32, torch.bfloat16] if native_bfloat16(CPU) else [torch.float32]


def word(precision: torch.dtype) -> str:
    """ "float32" or "bfloat16"."""
    return str(precision).removeprefix("torch.")


def autocast(precision: torch.dtype) -> torch.autocast:
    """The context in which `precision` is computed in."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16)


def compare(
    label: str,
    references: dict[str, Callable[[], object]],
    ours: dict[tuple[str, str], Callable[[], object]],
    repeats: int,
) -> list[Row]:
    """Time references and ours in turn.

    Args:
        label: of the rows and of the progress bar.
        references: by what they do, such as "forward".
        ours: by what they do and how, such as ("forward", "bfloat16").
        repeats: rounds.
    """
    named = {f"{what}, {how}": call for (what, how), call in ours.items()}
    times = alternate(references | named, repeats, label=label)
    return [Row(f"{label}, {what}, {how}", times[what], times[f"{what}, {how}"]) for what, how in ours]


def bench_reconstruction(
    scale_name: str = "paper", batch: int = 2, views: int = 5, repeats: int = 5, network: str = "lstm-3", **layout
) -> list[Row]:
    """A training step (forward, backward, Adam) and a forward pass of a network.

    Args:
        network, layout: as for `Reconstruction`.
    """
    torch.manual_seed(0)
    model = Reconstruction(scale(scale_name), network, **layout)
    size = model.scale
    images = torch.rand(batch, views, 3, size.image_size, size.image_size)
    occupancy = torch.rand(batch, size.grid, size.grid, size.grid) > 0.9
    weights = {name: value.requires_grad_() for name, value in to_pytorch(model).items()}
    fused = torch.optim.Adam(model.parameters(), lr=0, fused=True)
    unfused = torch.optim.Adam(weights.values(), lr=0)

    def reference() -> torch.Tensor:
        return naive_reconstruction(weights, images, naive_layout(model))

    def reference_step() -> None:
        unfused.zero_grad(set_to_none=True)
        F.nll_loss(reference(), occupancy.long()).backward()
        unfused.step()

    def step(precision: torch.dtype) -> None:
        fused.zero_grad(set_to_none=True)
        with autocast(precision):
            logits = model(images)
        occupancy_loss(logits, occupancy).backward()
        fused.step()

    @torch.no_grad()
    def forward(precision: torch.dtype) -> torch.Tensor:
        with autocast(precision):
            return model(images)

    references = {"training step": reference_step, "forward": torch.no_grad()(reference)}
    calls = {"training step": step, "forward": forward}
    ours = {(what, word(p)): partial(call, p) for what, call in calls.items() for p in precisions()}
    return compare(f"{model.network.name}, {scale_name}", references, ours, repeats)


def bench_compression(scale_name: str = "paper", batch: int = 1, iterations: int = 4, repeats: int = 3) -> list[Row]:
    """Forward, and forward with backward, of N_original on single images."""
    torch.manual_seed(0)
    model = CompressionRNN(scale(scale_name), "original").eval()
    size = model.scale.image_size
    images = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    state = dict(model.named_parameters())

    def reference() -> torch.Tensor:
        return naive_compression(state, images, iterations, "original")[1]

    def decoded(precision: torch.dtype) -> torch.Tensor:
        with autocast(precision):
            return model(images, iterations).decoded

    def gradient(call: Callable[[], torch.Tensor]) -> None:
        model.zero_grad(set_to_none=True)
        compression_loss(images, call()).backward()

    references = {"forward": torch.no_grad()(reference), "forward and backward": partial(gradient, reference)}
    ours = {("forward", word(p)): torch.no_grad()(partial(decoded, p)) for p in precisions()}
    ours |= {("forward and backward", word(p)): partial(gradient, partial(decoded, p)) for p in precisions()}
    return compare(f"N_original, {scale_name}", references, ours, repeats)


def loader_rows(quick: bool) -> list[Row]:
    """A view out of one DataLoader process, against a PNG file read by Pillow."""
    from benchmarks.loader import bench_loader
    from compress3d.data.testset import open_test_set

    return [Row("a view from the loader", *bench_loader(open_test_set(), seconds=1 if quick else 3))]


def jpeg2000_rows(quick: bool) -> list[Row]:
    """Encoding and decoding, against glymur through files."""
    from benchmarks.jpeg2000 import bench_jpeg2000

    return [Row(*row) for row in bench_jpeg2000(pictures=5 if quick else 20)]


def nerf_rows(quick: bool) -> list[Row]:
    """Rendering and training two radiance networks, against a renderer that does what a public port does."""
    from benchmarks.nerf import bench_nerf

    return [Row(*row) for row in bench_nerf(rays=16 if quick else 512, repeats=1 if quick else 5)]


def bench(quick: bool = False, out: Path | None = None) -> list[Row]:
    """Run every benchmark that this machine can run, and print the table.

    Args:
        quick: the small network and few repetitions: a check that the benchmark works, no measurement.
        out: also write the figures to this JSON file.
    """
    size = "smoke" if quick else "paper"
    original = dict(upsampling="zeros", padded=True)
    parts = {
        "3D-LSTM-3": lambda: bench_reconstruction(size, repeats=1 if quick else 5),
        "Res3D-GRU-3": lambda: bench_reconstruction(size, repeats=1 if quick else 5, network="res-gru-3", **original),
        "compression": lambda: bench_compression(size, repeats=1 if quick else 3),
        "loader": lambda: loader_rows(quick),
        "JPEG 2000": lambda: jpeg2000_rows(quick),
        "NeRF": lambda: nerf_rows(quick),
    }
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    if not native_bfloat16(CPU):
        skipped["bfloat16"] = "this processor does not compute in it by itself"
    for name, part in parts.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            rows += part()
        except Compress3DError as error:  # something that this machine has not
            skipped[name] = str(error)
    print(table(rows))
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    if out is not None:
        found = {
            "rows": [{**row._asdict(), "ratio": row.ratio} for row in rows],
            "skipped": skipped,
            "quick": quick,
            "threads": torch.get_num_threads(),
            "hardware": describe(CPU),
            "versions": results.versions(),
        }
        write_atomically(out, results.dumps(found).encode())
    return rows


def table(rows: list[Row]) -> str:
    """Rows as text: name, reference, ours, ratio.

    Example:
        >>> print(table([Row("forward", 300.0, 100.0)]))
                 reference ms  ours ms  ratio
        forward        300.00   100.00   3.00
    """
    width = max((len(row.name) for row in rows), default=0)
    lines = [f"{'':{width}}  reference ms  ours ms  ratio"]
    lines += [f"{r.name:{width}}  {r.reference_ms:12.2f}  {r.ours_ms:7.2f}  {r.ratio:5.2f}" for r in rows]
    return "\n".join(lines)


def main() -> None:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Time what is slow, each against a naive reference in the same run.")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--quick", action="store_true", help="few repetitions and no full-width network")
    given = parser.parse_args()
    bench(quick=given.quick, out=given.out)


if __name__ == "__main__":
    main()
