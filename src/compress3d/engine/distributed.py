"""One run on several processes, as `torchrun` starts them: each takes its rows of the same global minibatch.

A step gives the loss and the gradient of one process on the whole minibatch: rows are shared out in rank order, the
binarizer draws for all rows and keeps its own, and gradients are averaged.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from compress3d.errors import ConfigError


@dataclass(frozen=True)
class Workers:
    """This process among those that train one run.

    Attributes:
        rank: 0 .. size - 1; rank 0 writes checkpoints and speaks.
        size: processes.
        device: of this process.
    """

    rank: int
    size: int
    device: torch.device

    @staticmethod
    def join(device: str | None = None) -> Workers:
        """Join the group that torchrun's environment names; alone where there is none.

        Args:
            device: "cuda" or "cpu"; a GPU where there is one.
        """
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        size = int(os.environ.get("WORLD_SIZE", 1))
        if size == 1:
            return Workers(0, 1, torch.device(kind))
        chosen = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
        if kind == "cuda":
            torch.cuda.set_device(chosen)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if kind == "cuda" else "gloo")
        return Workers(dist.get_rank(), dist.get_world_size(), chosen)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, module: nn.Module) -> nn.Module:
        """`module` with gradients averaged over the processes after each backward pass."""
        if self.size == 1:
            return module
        # With one view or one iteration the hidden-state convolutions have no part in the loss.
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of `values` over the processes, the same on each."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


def leave() -> None:
    """Leave the group at the end of a program; it cannot be joined again."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Share(Dataset):
    """A process's rows of minibatches.

    Args:
        batches: global minibatches, named tuples of tensors with the objects first.
        workers: whose rows.

    Raises:
        ConfigError: the minibatch cannot be shared out evenly.
    """

    def __init__(self, batches: Dataset, batch_size: int, workers: Workers):
        if batch_size % workers.size:
            raise ConfigError(
                f"a minibatch of {batch_size}",
                f"cannot be shared by {workers.size} processes",
                "start a number of processes that divides it",
            )
        self.batches, self.rows = batches, batch_size // workers.size
        self.first = workers.rank * self.rows

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int):
        batch = self.batches[step]
        return type(batch)(*(part[self.first : self.first + self.rows] for part in batch))
