"""The training loop: resumable after a kill at any moment, bit-equal for a seed on one machine, time-boxed.

Everything random in step n is a function of (seed, n) alone: the batch, the rate of a channel, the binarizer's draws.
So a run that was stopped and resumed sees what an uninterrupted run sees, and ends with the same weights.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from compress3d import paths
from compress3d.data.loader import Batch
from compress3d.engine.checkpoint import load_checkpoint, run_lock, save_checkpoint
from compress3d.engine.distributed import ProcessGroup
from compress3d.engine.experiment import Experiment
from compress3d.engine.hardware import choose_precision, describe
from compress3d.engine.optim import parameter_groups
from compress3d.engine.step import Step
from compress3d.errors import CheckpointError, ConfigError, TrainingError
from compress3d.layers.binarizer import Binarizer
from compress3d.losses import LossTerms

CHECKPOINT_SECONDS = float(os.environ.get("COMPRESS3D_CHECKPOINT_SECONDS", 120))  # so much work is lost to a kill


class Objective(nn.Module):
    """A model as the function that is minimized: forward gives the losses of a training step."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, step: Step, **which: str) -> LossTerms:
        return self.model.training_step(batch, step, **which)  # type: ignore[operator]  # torch: "Tensor or Module"


class Trainer:
    """State of one run: network, optimizers, step, clock and loss history.

    Attributes:
        model: the network.
        step, seconds: steps done, and spent on them.
        losses: name -> (step, mean loss since the entry before): "total", what was minimized, and its terms.
        hardware: see `hardware.describe`.
        precision: "bfloat16" or "float32", what is computed in; chosen by `start`.
        data: `objects` and `rows` of an epoch, and `stores`, name -> sha256; set by `train`.

    Args:
        experiment: what is trained. Its model has `training_step(batch, step) -> LossTerms`; with an attribute
            `optimizers`, several names, that is called for each of them in turn, with `optimizer=name`, and so is
            `parameter_groups`. A model that grows has `begin(step) -> bool`, called ahead of every step: whether it
            replaced parameters, which get new optimizers then; what it does depends on the step and the state alone.
        folder: of its checkpoints.
        group: this process among those that train the run.
    """

    PROGRESS = ("step", "seconds", "precision", "losses", "recent")  # kept in checkpoints beside weights and optimizers

    def __init__(self, experiment: Experiment, folder: Path, group: ProcessGroup):
        self.experiment, self.folder, self.group, self.device = experiment, folder, group, group.device
        torch.manual_seed(experiment.seed)
        self.model = experiment.build().to(self.device)
        self.noise = torch.Generator(self.device)
        for module in self.model.modules():
            if isinstance(module, Binarizer):
                module.generator, module.shard = self.noise, (group.rank, group.size)
        names: Sequence[str] = getattr(self.model, "optimizers", ("",))
        self.which = {name: {"optimizer": name} if name else {} for name in names}
        self._optimize()
        self.step, self.seconds, self.precision = 0, 0.0, ""
        self.losses: dict[str, list[tuple[int, float]]] = {}
        self.recent: dict[str, list[float]] = {}
        self.hardware = describe(self.device)
        self.data: dict = {}

    def _optimize(self) -> None:
        """Take the parameters that the network has now."""
        self.objective = self.group.wrap_ddp(Objective(self.model))
        self.optimizers = {
            name: torch.optim.Adam(parameter_groups(self.model, self.experiment.optim, **which), fused=True)
            for name, which in self.which.items()
        }

    def _begin(self, step: int) -> None:
        if callable(own := getattr(self.model, "begin", None)) and own(step):
            self._optimize()

    @property
    def minutes(self) -> float:
        return self.seconds / 60

    @property
    def history(self) -> list[tuple[int, float]]:
        """What was minimized; by the first optimizer, where there are several."""
        return next((entries for name, entries in self.losses.items() if name.split("/")[-1] == "total"), [])

    @property
    def terms(self) -> dict[str, list[tuple[int, float]]]:
        """Every loss but "total"."""
        return {name: entries for name, entries in self.losses.items() if name != "total"}

    def start(self) -> bool:
        """Go on from the newest whole checkpoint, in the precision that it began with; False where there is none.

        Raises:
            CheckpointError: the checkpoint was made with other settings.
        """
        state = load_checkpoint(self.folder)
        if state is None:
            asked = self.experiment.optim.precision
            self.precision = choose_precision(asked, self.device, report=self.group.is_main_process)
            return False
        if state["experiment"] != repr(self.experiment):
            raise CheckpointError(self.folder, "belongs to a run with other settings", "remove the folder")
        self._begin(state["step"] - 1)  # a network that grows had this shape when it was saved
        self.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name in self.PROGRESS:
            setattr(self, name, state[name])
        return True

    def save(self) -> Path:
        """Write a checkpoint."""
        state = {
            "experiment": repr(self.experiment),
            "model": self.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            **{name: getattr(self, name) for name in self.PROGRESS},
        }
        return save_checkpoint(self.folder, self.step, state)

    def advance(self, batch: Batch) -> dict[str, float]:
        """One step on this process's rows of a minibatch; returns the losses over all rows, by name.

        Raises:
            TrainingError: a loss is not finite; the last checkpoint is from before.
        """
        self._begin(self.step)
        step = Step(self.step, self.experiment.seed)
        self.noise.manual_seed((step.seed << 32) + step.number)
        batch = type(batch)(*(part.to(self.device, non_blocking=True) for part in batch))
        values: dict[str, float] = {}
        for name in self.optimizers:
            found = self._descend(name, batch, step)
            values |= {f"{name}/{term}" if name else term: value for term, value in found.items()}
        self.step += 1
        return values

    def _descend(self, name: str, batch: Batch, step: Step) -> dict[str, float]:
        """One step of one optimizer."""
        optimizer, optim = self.optimizers[name], self.experiment.optim
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * optim.factor(step.number, group["warmup"])
        self.model.zero_grad(set_to_none=True)  # of the other optimizers' weights, too
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            losses = self.objective(batch, step, **self.which[name])
        terms = {"total": losses.total, **losses.terms}
        means = self.group.mean(torch.stack([term.detach().float() for term in terms.values()])).tolist()
        if not math.isfinite(means[0]):
            problem = f"the loss is {means[0]} at step {step.number}"
            raise TrainingError(self.experiment.id, problem, "lower the learning rate or train in float32")
        losses.total.backward()
        if math.isfinite(optim.clip):
            own = {id(p) for group in optimizer.param_groups for p in group["params"]}
            nn.utils.clip_grad_norm_([p for p in self.model.parameters() if id(p) in own], optim.clip)
        optimizer.step()
        return dict(zip(terms, means, strict=True))

    def record(self, values: dict[str, float], every: int) -> None:
        """Add the losses of a step to the history, which keeps means of `every` steps."""
        for name, value in values.items():
            recent = self.recent.setdefault(name, [])
            recent.append(value)
            if self.step % every == 0 or self.step == self.experiment.optim.steps:
                self.losses.setdefault(name, []).append((self.step, sum(recent) / len(recent)))
                recent.clear()


def train(
    experiment: Experiment,
    folder: Path | None = None,
    sources: Any = None,
    max_minutes: float | None = None,
    device: str | None = None,
    num_workers: int = 1,
    log_every: int = 25,
) -> Trainer:
    """Train an experiment to its last step, or for `max_minutes`; call it again to go on.

    Args:
        experiment: what is trained.
        folder: of checkpoints; `_runs/<id>` where None.
        sources: opened training data; what the experiment names where None, see `DataConfig.open`.
        max_minutes: stop in good order after so many minutes.
        device: "cpu" or "cuda"; a GPU where there is one.
        num_workers: processes that load batches; 0 loads them here.
        log_every: steps averaged to one point of the loss history.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingError: see their texts.
    """
    if max_minutes is not None and max_minutes <= 0:
        raise ConfigError(f"--max-minutes {max_minutes:g}", "leaves no time", "give a positive number of minutes")
    group = ProcessGroup.init(device)
    folder = paths.runs() / experiment.id if folder is None else folder
    with run_lock(folder) if group.is_main_process else nullcontext():
        trainer = Trainer(experiment, folder, group)
        sources = experiment.data.open(experiment) if sources is None else sources
        if not trainer.start():
            experiment.model.start(trainer, sources)
        elif group.is_main_process:
            print(f"{experiment.id}: going on from step {trainer.step} in {trainer.precision}", file=sys.stderr)
        trainer.data = experiment.data.record(sources)
        _loop(trainer, sources, max_minutes, num_workers, log_every)
        group.barrier()  # the main process may still be writing
    return trainer


def _loop(trainer: Trainer, sources: Any, max_minutes: float | None, num_workers: int, log_every: int) -> None:
    """Steps until the last one or until time is over, with a checkpoint now and then."""
    experiment, group = trainer.experiment, trainer.group
    steps = experiment.optim.steps
    loader = DataLoader(
        experiment.data.batches(experiment, sources, group), batch_size=None, sampler=range(trainer.step, steps),
        num_workers=num_workers, prefetch_factor=4 if num_workers else None, pin_memory=trainer.device.type == "cuda",
    )  # fmt: skip
    started = saved = time.monotonic()
    before = trainer.seconds
    trainer.model.train()
    quiet = None if group.is_main_process else True
    bar = tqdm(loader, desc=experiment.id, initial=trainer.step, total=steps, disable=quiet, unit="step")
    for batch in bar:
        trainer.record(trainer.advance(batch), log_every)
        now = time.monotonic()
        trainer.seconds = before + now - started
        if trainer.losses:
            bar.set_postfix(loss=f"{next(iter(trainer.losses.values()))[-1][1]:.4f}", refresh=False)
        late = max_minutes is not None and now - started > 60 * max_minutes
        if max_minutes is not None and group.size > 1:  # one late process stops all of them at the same step
            late = group.mean(torch.tensor(float(late), device=trainer.device)).item() > 0
        if group.is_main_process and (now - saved > CHECKPOINT_SECONDS or late or trainer.step == steps):
            trainer.save()
            saved = now
        if late:
            break
