"""Until networks have `training_step` and `parameter_groups` of their own."""

from __future__ import annotations

from types import MethodType
from typing import NamedTuple

from torch import Tensor

from compress3d.data.loader import to_float
from compress3d.engine.optim import with_decay
from compress3d.joint.compression import CompressionRNN
from compress3d.layers.binarizer import Binarizer


class LossTerms(NamedTuple):
    total: Tensor
    terms: dict


def _training_step(self, batch, step):
    N = None
    if hasattr(self, "training_iterations"):
        N = int(step.rng(12).integers(*self.training_iterations, endpoint=True))
    losses = self.losses(to_float(batch.images), batch.occupancy, N)
    terms = {"compression": losses.compression, "reconstruction": losses.reconstruction}
    return LossTerms(losses.total, {name: value for name, value in terms.items() if value is not None})


def _parameter_groups(self, optim):
    codecs = [part for part in self.modules() if isinstance(part, CompressionRNN)]
    codec = {id(p): p for part in codecs for p in part.parameters()}
    others = [p for p in self.parameters() if id(p) not in codec]
    groups = [
        {"params": others, "peak": optim.learning_rate, "warmup": optim.warmup, "lr": 0.0},
        {"params": list(codec.values()), "peak": optim.codec_learning_rate, "warmup": optim.codec_warmup, "lr": 0.0},
    ]
    return with_decay(groups, optim.weight_decay)


class _Shard:
    """`shard`, which the binarizer calls `share` today."""

    def __get__(self, instance, owner):
        return instance.share

    def __set__(self, instance, value):
        instance.share = value


def adapt(model):
    if not hasattr(Binarizer, "shard") and "share" in vars(Binarizer()):
        Binarizer.shard = _Shard()
    if not hasattr(model, "training_step"):
        model.training_step = MethodType(_training_step, model)
        model.parameter_groups = MethodType(_parameter_groups, model)
    return model
