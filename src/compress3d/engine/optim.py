"""Groups of weights with their learning rates."""

from __future__ import annotations

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
