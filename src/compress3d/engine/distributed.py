"""One run on several processes, as `torchrun` starts them: each takes its rows of the same global minibatch.

A step gives the loss and the gradient of one process on the whole minibatch: rows are sharded in rank order, the
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

from compress3d.engine.hardware import choose_device
from compress3d.errors import ConfigError


@dataclass(frozen=True)
class ProcessGroup:
    """This process among the `size` that train one run: its `rank`, 0 .. size - 1, and its device."""

    rank: int
    size: int
    device: torch.device

    @staticmethod
    def init(device: str | None = None) -> ProcessGroup:
        """Join the group that torchrun's environment names, on "cuda" or "cpu"; a group of one where there is none."""
        chosen = choose_device(device)
        size = int(os.environ.get("WORLD_SIZE", 1))
        if size == 1:
            return ProcessGroup(0, 1, chosen)
        if chosen.type == "cuda":
            chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(chosen)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        return ProcessGroup(dist.get_rank(), dist.get_world_size(), chosen)

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes checkpoints and logs."""
        return self.rank == 0

    def wrap_ddp(self, module: nn.Module) -> nn.Module:
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

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


def destroy_process_group() -> None:
    """Leave the group at the end of a program; it cannot be joined again."""
    if dist.is_initialized():
        dist.destroy_process_group()


class ShardedBatches(Dataset):
    """The rows of `group`'s process of minibatches with `batch_size` objects: named tuples of tensors, objects first.

    Raises:
        ConfigError: the minibatch cannot be sharded evenly.
    """

    def __init__(self, batches: Dataset, batch_size: int, group: ProcessGroup):
        if batch_size % group.size:
            problem = f"cannot be shared by {group.size} processes"
            raise ConfigError(f"a minibatch of {batch_size}", problem, "start a number of processes that divides it")
        rows = batch_size // group.size
        self.batches, self.rows = batches, slice(group.rank * rows, (group.rank + 1) * rows)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]  # torch gives no Dataset a length

    def __getitem__(self, step: int):
        batch = self.batches[step]
        return type(batch)(*(part[self.rows] for part in batch))
