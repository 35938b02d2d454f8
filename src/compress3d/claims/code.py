"""Claims about the networks themselves, checked on the published sizes without running anything: the meta device has
shapes and no numbers, so that a network of any size costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compress3d.claims.evidence import FAILED, PARTLY, REPRODUCED, Answer, Evidence, claim, tally
from compress3d.engine.experiment import get_experiment
from compress3d.joint.compression import ARCHITECTURES, CompressionRNN
from compress3d.joint.direct import Direct
from compress3d.joint.experiments import most_iterations
from compress3d.joint.implicit import Implicit
from compress3d.joint.rates import recurrent_iterations, true_rate
from compress3d.joint.sequential import Sequential
from compress3d.layers.binarizer import Binarizer, binarize
from compress3d.r2n2.network import Encoder, Reconstruction
from compress3d.scales import Scale, scale

GPU_BYTES = 11 * 2**30  # GTX 1080 Ti
STATE_BYTES = 16  # a weight, its gradient and Adam's two moments, float32
BATCH, VIEWS = 6, 5  # Sec. 3.4, Fig. 8
RATE = 48  # the lowest one of Fig. 8, the longest code
N_TODERICI = 8  # at 24:1, where Toderici et al. trained
PAPER = scale("paper")


def on_meta(make: Callable[[Scale], nn.Module]) -> nn.Module:
    """A network of the published size without its numbers."""
    with torch.device("meta"):
        return make(PAPER)


def parameters(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in model.parameters())


def training_bytes(make: Callable[[Scale], nn.Module], iterations: int | None = None) -> int:
    """Bytes that a float32 training step of a published-size network cannot do without.

    What the forward pass keeps for the backward one, and weights, gradients and Adam's moments. Workspace comes on top.
    """
    model = on_meta(make).train()
    kept: dict[int, Tensor] = {}
    weights = {p.untyped_storage()._cdata for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # views share a storage, which counts once
        return tensor

    side, grid = PAPER.image_size, PAPER.grid
    x, truth = torch.empty(BATCH, VIEWS, 3, side, side, device="meta"), torch.empty(BATCH, *(grid,) * 3, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.loss(x, truth, iterations)
    del loss
    activations = sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)
    return activations + STATE_BYTES * parameters(model)


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**30:.1f} GiB"


def multiply_adds(call: Callable[..., object], *inputs) -> float:
    """Multiply-adds of a network or of a part of it."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*inputs)
    return counter.get_total_flops() / 2


@claim("gradient-through-binarizer")
def gradient_through_binarizer(evidence: Evidence) -> Answer:
    """No parameters; gradients before and behind are equal, drawn or not; many draws of x have the mean x to 0.02."""
    x = torch.linspace(-1, 1, 21, dtype=torch.float64).requires_grad_()
    above = torch.randn(21, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = []
    for stochastic in (True, False):
        (gradient,) = torch.autograd.grad(binarize(x, stochastic), x, above)
        errors.append((gradient - above).abs().max().item())
    draws = binarize(x.detach().expand(40_000, -1), True, torch.Generator().manual_seed(0))
    bias = (draws.mean(0) - x.detach()).abs().max().item()
    count = parameters(Binarizer())
    verdict = tally([count == 0, max(errors) == 0, bias < 0.02])
    return verdict, (
        f"{count} parameters, gradients differ by {max(errors):g}, means of 40,000 draws by at most {bias:.3f}"
    )


@claim("direct-extends-implicit")
def direct_extends_implicit(evidence: Evidence) -> Answer:
    """A direct run serves at least six rates and decodes pictures; an implicit run serves one and decodes none."""
    rates = [s.rate for s in get_experiment(f"{evidence.scale}/direct-s0").operating_points()]
    single = [s.rate for s in get_experiment(f"{evidence.scale}/implicit-r384-s0").operating_points()]
    direct, implicit = on_meta(Direct), on_meta(lambda size: Implicit(size, 384))
    shows = hasattr(direct, "compression") and not hasattr(implicit, "compression")
    verdict = tally([len(rates) >= 6, len(single) == 1, shows])
    return verdict, (
        f"By design: a direct network serves {len(rates)} rates and pictures, an implicit one {len(single)} and none"
    )


@claim("memory-forces-small-codec")
def memory_forces_small_codec(evidence: Evidence) -> Answer:
    """A step of 6 objects, 5 views at 48:1: N_original over 11 GiB, N_small not; partly if only at 8 iterations."""
    steps = {
        name: [
            training_bytes(lambda size, name=name: Sequential(size, name), N)
            for N in (most_iterations(name), N_TODERICI)
        ]
        for name in ("original", "small")
    }
    at_48, at_8 = [steps["original"][n] > GPU_BYTES >= steps["small"][n] for n in (0, 1)]
    verdict = REPRODUCED if at_48 else PARTLY if at_8 else FAILED
    return verdict, (
        f"At least {gib(steps['original'][0])} (N_original) and {gib(steps['small'][0])} (N_small) at 48:1; "
        f"N_original at 8 iterations {gib(steps['original'][1])}, without workspace"
    )


@claim("scales-linearly-with-picture")
def scales_linearly_with_picture(evidence: Evidence) -> Answer:
    """Four times the pixels cost 3.8 to 4.2 times the work in codec and 3D encoder, and in its K x K layer."""
    codec, encoder = on_meta(CompressionRNN).eval(), on_meta(lambda size: Encoder(size, size.code_size // 4)).eval()
    growth = []
    for part, *more in ((codec, 1), (encoder.features,)):
        costs = [multiply_adds(part, torch.empty(1, 3, side, side, device="meta"), *more) for side in (128, 256)]
        growth.append(costs[1] / costs[0])
    double = Scale("double", 2 * PAPER.image_size, PAPER.width, PAPER.grid)
    square = (double.code_size / PAPER.code_size) ** 2
    verdict = tally([all(3.8 < g < 4.2 for g in growth), square < 4.2])
    return verdict, (
        f"From 128 to 256 pixels: codec x {growth[0]:.1f}, the 3D encoder's convolutions x {growth[1]:.1f}, "
        f"its K x K layer x {square:.0f}"
    )


def receptive_field(encoder: Encoder) -> int:
    """Side of the picture patch that one cell of the 3D encoder's last feature map sees, in pixels."""
    field, step = 1, 1
    for conv, pooled in zip(encoder.convs, encoder.pooled, strict=True):
        field += (conv.kernel_size[0] - 1) * step
        if pooled:
            field, step = field + step, 2 * step
    return field


@claim("receptive-field-stays")
def receptive_field_stays(evidence: Evidence) -> Answer:
    """The 3D encoder's receptive field, from kernels and poolings, is the same for 128, 256 and 512 pixels."""
    fields = [receptive_field(on_meta(lambda _, n=n: Encoder(Scale("large", n, 1.0, 32), 4))) for n in (128, 256, 512)]
    verdict = tally([len(set(fields)) == 1])
    return verdict, (
        f"{', '.join(map(str, fields))} pixels a side at 128, 256 and 512 pixels: {fields[0] / 512:.0%} of the largest"
    )


@claim("original-is-12-to-1")
def original_is_12_to_1(evidence: Evidence) -> Answer:
    """1024 floats are exactly 12:1, and implicit with K = 1024, floats and a K x K layer has the same parameters."""
    K = PAPER.code_size
    rate = true_rate(PAPER.image_size, K, 32)
    plain = on_meta(Reconstruction)
    implicit = on_meta(lambda size: Implicit(size, 12, fully_connected=True, binary=False))
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (plain, implicit)]
    verdict = tally([rate == 12, shapes[0] == shapes[1]])
    same = "the same" if shapes[0] == shapes[1] else "other"
    return verdict, (
        f"K = {K} floats: {rate:g}:1; {same} layers as implicit with K = {implicit.code_size} and a K x K layer"
    )


@claim("low-rates-need-floats")
def low_rates_need_floats(evidence: Evidence) -> Answer:
    """A step of 6 objects, 5 views at 12:1 is over 11 GiB with bits and under it with floats, all three models."""
    held, told = [], []
    for name, make in (("sequential", Sequential), ("direct", Direct)):
        N = recurrent_iterations(PAPER.image_size, 12, ARCHITECTURES["small"].bits)
        sizes = training_bytes(make, N), training_bytes(lambda size, make=make: make(size, binary=False), 1)
        held.append(sizes[0] > GPU_BYTES >= sizes[1])
        told.append(f"{name} {gib(sizes[0])} / {gib(sizes[1])}")
    sizes = [training_bytes(lambda size, binary=binary: Implicit(size, 12, binary=binary)) for binary in (True, False)]
    held.append(sizes[0] > GPU_BYTES >= sizes[1])
    return tally(
        held
    ), f"Bits / floats at 12:1, at least: {', '.join(told)}, implicit {gib(sizes[0])} / {gib(sizes[1])}"


@claim("small-codec-doubles-largest-rate")
def small_codec_doubles_largest_rate(evidence: Evidence) -> Answer:
    """Codes of one iteration on a 128-pixel picture have 1024 and 2048 bits: 384:1 and 192:1."""
    x = torch.empty(1, 3, PAPER.image_size, PAPER.image_size, device="meta")
    bits = [
        on_meta(lambda size, name=name: CompressionRNN(size, name)).encode(x, 1).numel()
        for name in ("small", "original")
    ]
    rates = [true_rate(PAPER.image_size, n) for n in bits]
    verdict = tally([rates == [384, 192]])
    return verdict, f"N_small {bits[0]} bits, {rates[0]:g}:1; N_original {bits[1]} bits, {rates[1]:g}:1"


@claim("small-codec-is-smaller")
def small_codec_is_smaller(evidence: Evidence) -> Answer:
    """N_small has fewer convolutions, parameters and multiply-adds an iteration than N_original."""
    x, rows = torch.empty(1, 3, PAPER.image_size, PAPER.image_size, device="meta"), []
    for name in ("small", "original"):
        codec = on_meta(lambda size, name=name: CompressionRNN(size, name)).eval()
        layers = sum(isinstance(part, nn.Conv2d) for part in codec.modules())
        rows.append((layers, parameters(codec), multiply_adds(codec, x, 1)))
    verdict = tally([a < b for a, b in zip(*rows, strict=True)])
    (a, p, c), (b, q, d) = rows
    return verdict, (
        f"{a} against {b} convolutions, {p / 1e6:.1f} against {q / 1e6:.1f} M parameters, "
        f"{c / 1e9:.1f} against {d / 1e9:.1f} GMAC"
    )


@claim("any-number-of-views")
def any_number_of_views(evidence: Evidence) -> Answer:
    """The networks take 1 to 20 views; at most partly, as no results file has mIoU at another number than 5."""
    side = PAPER.image_size
    model = on_meta(lambda size: Implicit(size, 384)).eval()
    shapes = {model(torch.empty(1, V, 3, side, side, device="meta")).shape for V in (1, 2, 5, 8, 20)}
    fewest, most = get_experiment(f"{evidence.scale}/uncompressed-s0").data.views
    takes = "takes" if len(shapes) == 1 else "does not take"
    return PARTLY if len(shapes) == 1 else FAILED, (
        f"The network {takes} 1 to 20 views, and training drew {fewest} to {most}; mIoU was measured at 5 alone"
    )


@claim("random-iterations-train-faster")
def random_iterations_train_faster(evidence: Evidence) -> Answer:
    """Random iterations are on average at most 3/4 of the constant ones, both codecs: work, not minutes."""
    shares = {}
    for name in ("original", "small"):
        N = most_iterations(name)
        shares[name] = (1 + N) / 2 / N  # drawn evenly from 1 to N
    verdict = tally(share <= 0.75 for share in shares.values())
    return verdict, "Mean work of a step, random over constant: " + ", ".join(
        f"N_{k} {v:.0%}" for k, v in shares.items()
    )
