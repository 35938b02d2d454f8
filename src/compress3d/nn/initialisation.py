"""Starting weights. PyTorch's default shrinks a signal by about 1/sqrt(3) a layer: through seven layers of encoder
and five of decoder little of a picture is left at the start, and the first hundreds of steps go into undoing that."""

from __future__ import annotations

from torch import nn

SLOPE = 0.01  # of the LeakyReLU behind the layers


def he_normal(module: nn.Module) -> None:
    """Draw the weights of every convolution and linear layer of `module` as He 2015 does, and clear their biases.

    Normal with variance 2 / ((1 + slope^2) fan_in): the signal keeps its size through LeakyReLU layers. The original
    3D-R2N2 draws from the same family ("msra").

    Args:
        module: changed in place; draws come from torch's global generator.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)
