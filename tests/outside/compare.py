"""Our networks beside other people's code, run with the same weights on the same pictures.

That code is not ours to ship: clone it, and name the folder.

    python tests/outside/compare.py rnn FOLDER     # 1zb/pytorch-image-comp-rnn
    python tests/outside/compare.py r2n2 FOLDER    # a PyTorch port of 3D-R2N2: models/gru_net.py, models/res_gru_net.py

Prints the largest differences and, for Res3D-GRU-3, the time of a training step; fails where one is above 1e-4.
Neither is a test of `make test`: those know only what is in the repository, and compare with naive references, written
from the published tables.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.joint.compression import CompressionRNN
from compress3d.losses import occupancy_loss
from compress3d.r2n2.convert import from_pytorch
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale

LIMIT = 1e-4
PORTS = {"gru-3": ("models.gru_net", "GRUNet"), "res-gru-3": ("models.res_gru_net", "ResidualGRUNet")}


def compare_rnn(iterations: int = 8, side: int = 128) -> dict[str, float]:
    """N_original: fraction of other bits, and the largest difference of a decoded value, over additive iterations."""
    public = importlib.import_module("network")
    torch.manual_seed(0)
    encoder, binarizer, decoder = public.EncoderCell().eval(), public.Binarizer().eval(), public.DecoderCell().eval()
    ours = CompressionRNN(scale("paper"), "original").eval()
    weights = {
        "encoder.entry.weight": encoder.conv.weight,
        "encoder.code.weight": binarizer.conv.weight,
        "decoder.entry.weight": decoder.conv1.weight,
        "decoder.exit.weight": decoder.conv2.weight,
    }
    for part, network, cells in (("encoder", encoder, 3), ("decoder", decoder, 4)):
        for n in range(cells):
            cell = getattr(network, f"rnn{n + 1}")
            weights[f"{part}.rnns.{n}.W_x.weight"] = cell.conv_ih.weight
            weights[f"{part}.rnns.{n}.W_h.weight"] = cell.conv_hh.weight
    ours.load_state_dict({name: value.detach() for name, value in weights.items()})

    def zeros(channels: int, stride: int) -> tuple[Tensor, Tensor]:
        return tuple(torch.zeros(1, channels, side // stride, side // stride) for _ in range(2))

    images = torch.rand(1, 3, side, side)
    residual, decoded = images - 0.5, torch.full_like(images, 0.5)
    enc, dec = (
        [zeros(*s) for s in ((256, 4), (512, 8), (512, 16))],
        [zeros(*s) for s in ((512, 16), (512, 8), (256, 4), (128, 2))],
    )
    codes, outputs = [], []
    with torch.no_grad():
        for _ in range(iterations):
            features, *enc = encoder(residual, *enc)
            codes.append(binarizer(features))
            output, *dec = decoder(codes[-1], *dec)
            residual, decoded = residual - output, decoded + output
            outputs.append(decoded)
        coded = ours(images, iterations)
    return {
        "fraction of bits that differ": (torch.stack(codes, 1) != coded.codes).double().mean().item(),
        "decoded images": (torch.stack(outputs, 1) - coded.decoded).abs().max().item(),
    }


def ported(name: str) -> nn.Module:
    """A network of the port with fresh weights; it prints its layers."""
    module, network = PORTS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        return getattr(importlib.import_module(module), network)()


def twin(name: str, port: nn.Module) -> Reconstruction:
    """Ours, with the layers of the ports and the weights of `port`."""
    ours = Reconstruction(scale("paper"), name, upsampling="zeros", padded=True, as_pytorch_ports=True)
    return from_pytorch(ours, port.state_dict())


def compare_r2n2(name: str) -> dict[str, float]:
    """Largest differences of the occupancy after 1, 3 and 5 views of 127 pixels, at full width."""
    torch.manual_seed(0)
    port, found = ported(name).eval(), {}
    ours = twin(name, port).eval()
    for views in (1, 3, 5):
        images = torch.rand(1, views, 3, 127, 127)
        with torch.no_grad():
            theirs = port(images.transpose(0, 1).contiguous(), y=None, test=True)[0]
            mine = torch.sigmoid(ours(images))
        found[f"{name}, occupancy, {views} views"] = (theirs[:, 1] - mine).abs().max().item()
    return found


def time_step(name: str = "res-gru-3", rounds: int = 5) -> str:
    """A training step of each in turn, batch 1, 5 views, float32, Adam as each of them trains; processor seconds."""
    port = ported(name)
    ours = twin(name, port)
    images, truth = torch.rand(1, 5, 3, 127, 127), torch.rand(1, 32, 32, 32) > 0.9
    target = torch.stack([~truth, truth], dim=1).float()
    ways = {
        "port": (torch.optim.Adam(port.parameters(), lr=0), lambda: port(images.transpose(0, 1), y=target, test=False)),
        "ours": (
            torch.optim.Adam(ours.parameters(), lr=0, fused=True),
            lambda: occupancy_loss(ours(images), truth),
        ),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first one warms up
        for way, (optimizer, loss) in ways.items():
            start = time.process_time()
            optimizer.zero_grad(set_to_none=True)
            loss().backward()
            optimizer.step()
            seconds[way].append(time.process_time() - start)
    theirs, mine = (float(np.median(seconds[way][1:])) for way in ("port", "ours"))
    return f"{name}, a training step: port {theirs:.2f} s, ours {mine:.2f} s, ratio {theirs / mine:.2f}"


def main() -> None:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("rnn", "r2n2"))
    parser.add_argument("folder", type=Path, help="clone of the public code")
    asked = parser.parse_args()
    sys.path.insert(0, str(asked.folder.resolve()))
    torch.set_num_threads(1)
    found = compare_rnn() if asked.what == "rnn" else {k: v for name in PORTS for k, v in compare_r2n2(name).items()}
    for label, value in found.items():
        print(f"{label}: {value:.1e}", flush=True)
    if asked.what == "r2n2":
        print(time_step())
    if max(found.values()) > LIMIT:
        raise SystemExit(f"above {LIMIT:g}: the networks are not the same")


if __name__ == "__main__":
    main()
