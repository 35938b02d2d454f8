"""Layer tables: what every layer of a network makes of its input, and what it costs. Computed, never typed."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from compress3d.engine.weights import parameter_count
from compress3d.figures.tables import Table
from compress3d.layers.upsampling import UpsampleConv3d


class Layer(NamedTuple):
    """One layer of a network: its name in the `state_dict`, and what it is, such as "conv 3x3".

    `shape` is that of its output for one object, `macs` the multiply-adds of one call (of one view before the decoder).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


def _layer_cost(layer: Any, inputs: Tensor, output: Tensor) -> tuple[str, int]:
    """Name of the kind of layer, and multiply-adds for one item of the batch; additions of biases are not counted."""
    if isinstance(layer, UpsampleConv3d):
        # 4^3 taps of the folded kernel at each input voxel, where upsampling first would take 27 at each output voxel
        return "x2, conv 3x3x3 (folded)", layer.weight.shape[:2].numel() * 4**3 * inputs.shape[2:].numel()
    if isinstance(layer, nn.Linear):
        return "linear", layer.weight.numel()
    return f"conv {'x'.join(map(str, layer.kernel_size))}", layer.weight.numel() * output.shape[2:].numel()


def layers(model: Any, image_size: int) -> list[Layer]:
    """Layers of a reconstruction network in the order in which data meets them.

    Run it on the "meta" device, where tensors have shapes but no values: the paper's network then costs nothing.

    Example:
        >>> from compress3d.r2n2.network import Reconstruction
        >>> from compress3d.scales import scale
        >>> with torch.device("meta"):
        ...     network = Reconstruction(scale("paper"))
        >>> layers(network, 128)[0]
        Layer(name='encoder.convs.0', kind='conv 7x7', shape=(96, 128, 128), parameters=14208, macs=231211008)
    """
    found: dict[str, Layer] = {}

    def note(name: str):
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            kind, macs = _layer_cost(layer, inputs[0], output)
            found[name] = Layer(name, kind, tuple(output.shape[1:]), parameter_count(layer), macs)

        return hook

    kinds = (nn.Conv2d, nn.Conv3d, nn.Linear)
    handles = [m.register_forward_hook(note(name)) for name, m in model.named_modules() if isinstance(m, kinds)]
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            images = torch.zeros(1, 2, 3, image_size, image_size, device=device)
            h, state = model.recurrent(model.encode_views(images))
            # `Decoder.forward` uses the difference of the two kernels; the table shows the layer as published
            model.decoder.classify(model.decoder.hidden(h))
    finally:
        for handle in handles:
            handle.remove()
    if "lstm.input_map" in found:  # called for the two views at once, a matrix product a view
        first = found["lstm.input_map"]
        found["lstm.input_map"] = first._replace(shape=first.shape[-1:])
    return list(found.values())


def layer_table(found: list[Layer], caption: str = "") -> Table:
    """`layers` as a table with totals in its last row."""
    rows = [
        [at.name, at.kind, " × ".join(map(str, at.shape)), f"{at.parameters:,}", f"{at.macs / 1e6:,.1f}"]
        for at in found
    ]
    parameters, macs = cost(found, "")
    rows.append(["together", "", "", f"{parameters:,}", f"{macs / 1e6:,.1f}"])
    return Table(["layer", "kind", "output", "parameters", "million multiply-adds"], rows, caption)


def cost(found: list[Layer], *prefixes: str) -> tuple[int, int]:
    """Parameters and multiply-adds of the layers whose names begin with one of `prefixes`."""
    chosen = [layer for layer in found if layer.name.startswith(prefixes)]
    return sum(layer.parameters for layer in chosen), sum(layer.macs for layer in chosen)
