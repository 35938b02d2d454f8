"""Speed, each figure as a ratio against a plain reference in the same run, on the same machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.naive import plain_compression, plain_layout, plain_reconstruction
from compress3d import results
from compress3d.io import write_atomically
from compress3d.joint.compression import CompressionRNN, compression_loss
from compress3d.joint.timing import alternate
from compress3d.r2n2.convert import to_pytorch
from compress3d.r2n2.network import Reconstruction, reconstruction_loss
from compress3d.scales import scale


def bench_reconstruction(
    scale_name: str = "paper", batch: int = 2, views: int = 5, repeats: int = 5, network: str = "lstm-3", **layout
) -> dict:
    """A training step (forward, backward, Adam) and a forward pass of a network, against the plain reference.

    Args:
        network, layout: as for `Reconstruction`.

    Returns:
        Milliseconds by name, and `speedup` of each of ours over the plain one.
    """
    torch.manual_seed(0)
    model = Reconstruction(scale(scale_name), network, **layout)
    size = model.scale
    images = torch.rand(batch, views, 3, size.image_size, size.image_size)
    truth = torch.rand(batch, size.grid, size.grid, size.grid) > 0.9
    weights = {name: value.requires_grad_() for name, value in to_pytorch(model).items()}
    ours = torch.optim.Adam(model.parameters(), lr=0, fused=True)
    plain = torch.optim.Adam(weights.values(), lr=0)

    def reference() -> torch.Tensor:
        return plain_reconstruction(weights, images, plain_layout(model))

    def plain_step() -> None:
        plain.zero_grad(set_to_none=True)
        F.nll_loss(reference(), truth.long()).backward()
        plain.step()

    def step(precision: torch.dtype) -> Callable[[], None]:
        def call() -> None:
            ours.zero_grad(set_to_none=True)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                logits = model(images)
            reconstruction_loss(logits, truth).backward()
            ours.step()

        return call

    def forward(precision: torch.dtype) -> Callable[[], torch.Tensor]:
        @torch.no_grad()
        def call() -> torch.Tensor:
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                return model(images)

        return call

    times = alternate(
        {
            "step plain": plain_step,
            "step float32": step(torch.float32),
            "step bfloat16": step(torch.bfloat16),
            "forward plain": torch.no_grad()(reference),
            "forward float32": forward(torch.float32),
            "forward bfloat16": forward(torch.bfloat16),
        },
        repeats,
    )
    speedup = {name: times[f"{name.split()[0]} plain"] / value for name, value in times.items() if "plain" not in name}
    sizes = {"batch": batch, "views": views, "scale": scale_name, "network": network}
    return {"milliseconds": times, "speedup": speedup, **sizes}


def bench_compression(scale_name: str = "paper", batch: int = 1, iterations: int = 4, repeats: int = 3) -> dict:
    """Forward, and forward with backward, of N_original on single pictures, against the plain reference.

    Returns:
        Milliseconds by name, and `speedup` of each of ours over the plain one.
    """
    torch.manual_seed(0)
    model = CompressionRNN(scale(scale_name), "original").eval()
    size = model.scale.image_size
    images = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    state = dict(model.named_parameters())

    def reference() -> torch.Tensor:
        return plain_compression(state, images, iterations, "original")[1]

    def ours(precision: torch.dtype) -> torch.Tensor:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            return model(images, iterations).decoded

    def backward(decoded: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def call() -> None:
            model.zero_grad(set_to_none=True)
            compression_loss(images, decoded()).backward()

        return call

    ways = {
        "plain": reference,
        "float32": lambda: ours(torch.float32),
        "bfloat16": lambda: ours(torch.bfloat16),
    }
    calls = {f"forward {name}": torch.no_grad()(call) for name, call in ways.items()}
    times = alternate(calls | {f"gradient {name}": backward(call) for name, call in ways.items()}, repeats)
    speedup = {name: times[f"{name.split()[0]} plain"] / value for name, value in times.items() if "plain" not in name}
    return {"milliseconds": times, "speedup": speedup, "batch": batch, "iterations": iterations, "scale": scale_name}


def bench(out: Path | None = None, quick: bool = False) -> dict:
    """Run every benchmark, print a table, and write it to `out` where given.

    Args:
        quick: the small network and few repetitions: a check that the benchmark works, no measurement.
    """
    from compress3d.codecs.jpeg2000 import bench_jpeg2000
    from compress3d.data.loader import bench_loader
    from compress3d.data.testset import open_test_set

    found = {
        "reconstruction": bench_reconstruction("smoke" if quick else "paper", repeats=1 if quick else 5),
        "residual": bench_reconstruction(
            "smoke" if quick else "paper", 2, 5, 1 if quick else 5, "res-gru-3", upsampling="zeros", padded=True
        ),
        "compression": bench_compression("smoke" if quick else "paper", repeats=1 if quick else 3),
        "loader": bench_loader(open_test_set(), workers=1, seconds=1 if quick else 3),
        "jpeg2000": bench_jpeg2000(),
        "threads": torch.get_num_threads(),
        "versions": results.versions(),
    }
    text = results.dumps(found)
    print(text, end="")
    if out is not None:
        write_atomically(out, text.encode())
    return found


def main() -> None:
    """`python -m benchmarks.run [--quick] [--out FILE]`."""
    parser = argparse.ArgumentParser(description="Time what is slow, each against a plain reference in the same run.")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and no full-width network")
    given = parser.parse_args()
    bench(given.out, quick=given.quick)


if __name__ == "__main__":
    main()
