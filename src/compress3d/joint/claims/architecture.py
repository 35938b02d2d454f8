"""Claims about the networks themselves, checked on the published sizes without running anything: the meta device has
shapes and no numbers, so that a network of any size costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from compress3d.claims.rules import Answer, graded, judge_parts
from compress3d.engine.experiment import get_experiment
from compress3d.engine.weights import parameter_count
from compress3d.joint.claims.evidence import Evidence, claim
from compress3d.joint.compression import ARCHITECTURES, CompressionRNN
from compress3d.joint.direct import Direct
from compress3d.joint.experiments import most_iterations
from compress3d.joint.implicit import Implicit
from compress3d.joint.rates import recurrent_iterations, true_rate
from compress3d.joint.sequential import Sequential
from compress3d.joint.timing import multiply_adds
from compress3d.layers.binarizer import Binarizer, binarize
from compress3d.r2n2.network import Encoder, Reconstruction
from compress3d.scales import Scale, scale

GPU_BYTES = 11 * 2**30  # GTX 1080 Ti
STATE_BYTES = 16  # a weight, its gradient and Adam's two moments, float32
BATCH, VIEWS = 6, 5  # Sec. 3.4, Fig. 8
N_TODERICI = 8  # at 24:1, where Toderici et al. trained
PAPER = scale("paper")
Network = TypeVar("Network", bound=nn.Module)


def on_meta(network: Callable[..., Network], *settings: Any, size: Scale = PAPER, **options: Any) -> Network:
    """A network without its numbers, of the published size where no other is given."""
    with torch.device("meta"):
        return network(size, *settings, **options)


def image(side: int = PAPER.image_size) -> Tensor:
    """An image without its numbers."""
    return torch.empty(1, 3, side, side, device="meta")


def training_bytes(model: Any, iterations: int | None = None) -> int:
    """Bytes that a float32 training step cannot do without: what the forward pass keeps for the backward one, and
    weights, gradients and Adam's moments. Workspace comes on top.
    """
    stored: dict[int, Tensor] = {}
    weights = {p.untyped_storage()._cdata for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        stored[tensor.untyped_storage()._cdata] = tensor  # views share a storage, which counts once
        return tensor

    side, grid = PAPER.image_size, PAPER.grid
    x, truth = torch.empty(BATCH, VIEWS, 3, side, side, device="meta"), torch.empty(BATCH, *(grid,) * 3, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.train().loss(x, truth, iterations)
    del loss
    activations = sum(t.untyped_storage().nbytes() for key, t in stored.items() if key not in weights)
    return activations + STATE_BYTES * parameter_count(model)


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**30:.1f} GiB"


@claim("gradient-through-binarizer")
def gradient_through_binarizer(evidence: Evidence) -> Answer:
    """No parameters; gradients before and behind are equal, drawn or not; many draws of x have the mean x to 0.02."""
    x = torch.linspace(-1, 1, 21, dtype=torch.float64).requires_grad_()
    above = torch.randn(21, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradients = [torch.autograd.grad(binarize(x, stochastic), x, above)[0] for stochastic in (True, False)]
    error = max((gradient - above).abs().max().item() for gradient in gradients)
    draws = binarize(x.detach().expand(40_000, -1), True, torch.Generator().manual_seed(0))
    bias = (draws.mean(0) - x.detach()).abs().max().item()
    count = parameter_count(Binarizer())
    return judge_parts([count == 0, error == 0, bias < 0.02]), (
        f"{count} parameters, gradients differ by {error:g}, means of 40,000 draws by at most {bias:.3f}"
    )


@claim("direct-extends-implicit")
def direct_extends_implicit(evidence: Evidence) -> Answer:
    """A direct run serves at least six rates and decodes pictures; an implicit run serves one and decodes none."""
    names = ("direct-s0", "implicit-r384-s0")
    rates, single = (len(get_experiment(f"{evidence.scale}/{name}").operating_points()) for name in names)
    shows = hasattr(on_meta(Direct), "compression") and not hasattr(on_meta(Implicit, 384), "compression")
    return judge_parts([rates >= 6, single == 1, shows]), (
        f"By design: a direct network serves {rates} rates and pictures, an implicit one {single} and none"
    )


@claim("memory-forces-small-codec")
def memory_forces_small_codec(evidence: Evidence) -> Answer:
    """A step of 6 objects, 5 views at 48:1: N_original over 11 GiB, N_small not; partly if only at 8 iterations."""
    steps = {
        name: [training_bytes(on_meta(Sequential, name), N) for N in (most_iterations(name), N_TODERICI)]
        for name in ("original", "small")
    }
    at_48, at_8 = [steps["original"][n] > GPU_BYTES >= steps["small"][n] for n in (0, 1)]
    return graded(at_48, at_8), (
        f"At least {gib(steps['original'][0])} (N_original) and {gib(steps['small'][0])} (N_small) at 48:1; "
        f"N_original at 8 iterations {gib(steps['original'][1])}, without workspace"
    )


@claim("scales-linearly-with-picture")
def scales_linearly_with_picture(evidence: Evidence) -> Answer:
    """Four times the pixels cost 3.8 to 4.2 times the work in codec and 3D encoder, and in its K x K layer."""
    codec, encoder = on_meta(CompressionRNN).eval(), on_meta(Encoder, PAPER.code_size // 4).eval()

    def growth(part: Callable[..., object], *more: int) -> float:
        small, large = (multiply_adds(part, image(side), *more) for side in (128, 256))
        return large / small

    factors = growth(codec, 1), growth(encoder.features)
    square = (replace(PAPER, image_size=2 * PAPER.image_size).code_size / PAPER.code_size) ** 2
    return judge_parts([all(3.8 < factor < 4.2 for factor in factors), square < 4.2]), (
        f"From 128 to 256 pixels: codec x {factors[0]:.1f}, the 3D encoder's convolutions x {factors[1]:.1f}, "
        f"its K x K layer x {square:.0f}"
    )


def receptive_field(encoder: Encoder) -> int:
    """Side of the picture patch that one cell of the 3D encoder's last feature map sees, in pixels."""
    field, step = 1, 1
    for conv, pooled in zip(encoder.convs, encoder.pooled, strict=True):
        field += (cast(nn.Conv2d, conv).kernel_size[0] - 1) * step
        if pooled:
            field, step = field + step, 2 * step
    return field


@claim("receptive-field-stays")
def receptive_field_stays(evidence: Evidence) -> Answer:
    """The 3D encoder's receptive field, from kernels and poolings, is the same for 128, 256 and 512 pixels."""
    fields = [receptive_field(on_meta(Encoder, 4, size=replace(PAPER, image_size=n))) for n in (128, 256, 512)]
    return judge_parts([len(set(fields)) == 1]), (
        f"{', '.join(map(str, fields))} pixels a side at 128, 256 and 512 pixels: {fields[0] / 512:.0%} of the largest"
    )


@claim("original-is-12-to-1")
def original_is_12_to_1(evidence: Evidence) -> Answer:
    """1024 floats are exactly 12:1, and implicit with K = 1024, floats and a K x K layer has the same parameters."""
    K = PAPER.code_size
    rate = true_rate(PAPER.image_size, K, 32)
    implicit = on_meta(Implicit, 12, fully_connected=True, binary=False)
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (on_meta(Reconstruction), implicit)]
    same = shapes[0] == shapes[1]
    return judge_parts([rate == 12, same]), (
        f"K = {K} floats: {rate:g}:1; {'the same' if same else 'other'} layers as implicit with "
        f"K = {implicit.code_size} and a K x K layer"
    )


@claim("low-rates-need-floats")
def low_rates_need_floats(evidence: Evidence) -> Answer:
    """A step of 6 objects, 5 views at 12:1 is over 11 GiB with bits and under it with floats, all three models."""
    N = recurrent_iterations(PAPER.image_size, 12, ARCHITECTURES["small"].bits)

    def sizes(network: type[nn.Module], *settings: int) -> list[int]:
        return [training_bytes(on_meta(network, *settings, binary=bits), N if bits else 1) for bits in (True, False)]

    found = {"sequential": sizes(Sequential), "direct": sizes(Direct), "implicit": sizes(Implicit, 12)}
    text = ", ".join(f"{name} {gib(bits)} / {gib(floats)}" for name, (bits, floats) in found.items())
    verdict = judge_parts(bits > GPU_BYTES >= floats for bits, floats in found.values())
    return verdict, f"Bits / floats at 12:1, at least: {text}"


@claim("small-codec-doubles-largest-rate")
def small_codec_doubles_largest_rate(evidence: Evidence) -> Answer:
    """Codes of one iteration on a 128-pixel picture have 1024 and 2048 bits: 384:1 and 192:1."""
    bits = [on_meta(CompressionRNN, name).encode(image(), 1).numel() for name in ("small", "original")]
    rates = [true_rate(PAPER.image_size, n) for n in bits]
    return judge_parts(
        [rates == [384, 192]]
    ), f"N_small {bits[0]} bits, {rates[0]:g}:1; N_original {bits[1]} bits, {rates[1]:g}:1"


@claim("small-codec-is-smaller")
def small_codec_is_smaller(evidence: Evidence) -> Answer:
    """N_small has fewer convolutions, parameters and multiply-adds an iteration than N_original."""

    def size(name: str) -> tuple[int, int, float]:
        codec = on_meta(CompressionRNN, name).eval()
        layers = sum(isinstance(part, nn.Conv2d) for part in codec.modules())
        return layers, parameter_count(codec), multiply_adds(codec, image(), 1)

    (a, p, c), (b, q, d) = size("small"), size("original")
    return judge_parts([a < b, p < q, c < d]), (
        f"{a} against {b} convolutions, {p / 1e6:.1f} against {q / 1e6:.1f} M parameters, {c:.1f} against {d:.1f} GMAC"
    )
