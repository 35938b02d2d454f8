"""Groups of weights and the schedule of their learning rates."""

from __future__ import annotations

import math

from torch import nn

from compress3d.engine.experiment import OptimConfig


def parameter_groups(model: nn.Module, optim: OptimConfig, **which: str) -> list[dict]:
    """Groups of weights for Adam, each with its `peak` learning rate and `warmup`.

    A model's own method `parameter_groups(optim, **which)` makes them, where it has one; `which` names one `optimizer`
    of several. Else all weights are one group, or two where there is L2.
    """
    if callable(own := getattr(model, "parameter_groups", None)):
        return own(optim, **which)
    every = {"params": list(model.parameters()), "peak": optim.learning_rate, "warmup": optim.warmup, "lr": 0.0}
    return with_decay([every], optim.weight_decay)


def with_decay(groups: list[dict], weight_decay: float) -> list[dict]:
    """Groups split in two, L2 on weights and none on biases, where `weight_decay` is not 0; none is empty."""
    if weight_decay:
        groups = [
            {**group, "params": [p for p in group["params"] if (p.dim() > 1) == decays], "weight_decay": decay}
            for group in groups
            for decays, decay in ((True, weight_decay), (False, 0.0))
        ]
    return [group for group in groups if group["params"]]


def schedule(step: int, warmup: int, steps: int, milestones: tuple[int, ...] = ()) -> float:
    """Fraction of the peak learning rate: linear rise over `warmup` steps, then a cosine to zero at `steps`.

    With `milestones` no cosine: a tenth from each of them on.

    Example:
        >>> schedule(0, warmup=2, steps=10), schedule(1, warmup=2, steps=10)
        (0.5, 1.0)
    """
    if step < warmup:
        return (step + 1) / warmup
    if milestones:
        return 0.1 ** sum(step >= milestone for milestone in milestones)
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
