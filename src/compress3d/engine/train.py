"""The training loop: resumable after a kill at any moment, bit-equal for a seed on one machine, time-boxed.

Everything random in step n is a function of (seed, n) alone: the batch, the rate of JPEG 2000, the binarizer's draws.
So a run that was stopped and resumed sees what an undisturbed run sees, and ends with the same weights.
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from compress3d import paths
from compress3d.data.loader import Batch, ViewBatches, to_float
from compress3d.data.store import Store
from compress3d.engine.checkpoint import claimed, load_checkpoint, save_checkpoint
from compress3d.engine.distributed import Share, Workers
from compress3d.errors import CheckpointError, ConfigError, TrainingError
from compress3d.joint.compression import CompressionRNN
from compress3d.layers.binarizer import Binarizer
from compress3d.losses import Losses
from compress3d.runs import JPEG2000_RATES, Run
from compress3d.scales import scale

CHECKPOINT_SECONDS = float(os.environ.get("COMPRESS3D_CHECKPOINT_SECONDS", 120))  # so much work is lost to a kill


class Jpeg2000Batches(Dataset):
    """Training batches whose images went through JPEG 2000, all of one minibatch at one random rate (Sec. 4.1).

    Rates count payload bytes: at 64 pixels a header alone is larger than most budgets.

    Args:
        batches: of untouched images.
        seed: of the rates drawn.
        rate: the one rate of every minibatch (Sec. 4.3); drawn from `JPEG2000_RATES` where None.
    """

    def __init__(self, batches: Dataset, seed: int, rate: float | None = None):
        self.batches, self.seed, self.rate = batches, seed, rate

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int):
        from compress3d.codecs.jpeg2000 import simulate  # needs OpenJPEG, which training machines may lack

        batch = self.batches[step]
        rate = self.rate or np.random.default_rng([self.seed, step, 2000]).choice(JPEG2000_RATES)
        B, V, _, H, W = batch.images.shape
        pictures = batch.images.permute(0, 1, 3, 4, 2).reshape(B * V, H, W, 3).contiguous().numpy()
        decoded, _ = simulate(pictures, float(rate), accounting="payload")
        return batch._replace(images=torch.from_numpy(decoded).view(B, V, H, W, 3).permute(0, 1, 4, 2, 3))


def open_parts(run: Run) -> list[tuple[Store, np.ndarray]]:
    """The run's stores and the objects that an epoch visits.

    Raises:
        DataError: a store is missing or broken; the message names the command that builds it.
    """
    parts = []
    for part in run.parts:
        store = Store.open(paths.cache() / part.store)
        parts.append((store, np.tile(store.select(split=part.split, clean=True), part.repeat)))
    return parts


def batches(run: Run, parts: list[tuple[Store, np.ndarray]], workers: Workers | None = None) -> Dataset:
    """The run's minibatches, indexed by step; this process's rows of them where `workers` are several."""
    size = scale(run.scale)
    found: Dataset = ViewBatches(
        parts,
        batch_size=run.batch_size,
        views=run.views,
        image_size=size.image_size,
        grid=size.grid,
        seed=run.seed,
        steps=run.steps,
        mirror=run.mirror,
        background=run.background,
        pictures=run.pictures,
        replacement=run.replacement,
        flip=run.flip,
    )
    if workers is not None and workers.size > 1:
        found = Share(found, run.batch_size, workers)
    return Jpeg2000Batches(found, run.seed, run.rate) if run.model == "jpeg2000" else found


def iterations(run: Run, step: int) -> int | None:
    """N of a step's minibatch, uniform over `run.iterations` (appendix); None for models without a compression RNN."""
    if run.iterations is None:
        return None
    least, most = run.iterations
    return int(np.random.default_rng([run.seed, step, 12]).integers(least, most, endpoint=True))


def schedule(step: int, warmup: int, steps: int, milestones: tuple[int, ...] = ()) -> float:
    """Share of the peak learning rate: linear rise over `warmup` steps, then a cosine to zero at `steps`.

    With `milestones` no cosine: a tenth from each of them on.
    """
    if step < warmup:
        return (step + 1) / warmup
    if milestones:
        return 0.1 ** sum(step >= milestone for milestone in milestones)
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class Trained:
    """What `train` returns: the network, how far it came, and the losses on the way.

    Attributes:
        history: (step, mean loss since the entry before): what was minimized.
        terms: the same of its terms, "compression" and "reconstruction", as far as the model has them.
    """

    model: nn.Module
    step: int
    seconds: float
    history: list[tuple[int, float]]
    terms: dict[str, list[tuple[int, float]]]
    device: str
    leads: bool = True  # False on all but the first of several processes

    @property
    def minutes(self) -> float:
        return self.seconds / 60


class Objective(nn.Module):
    """A model as the function that is minimized: forward gives its losses."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs) -> Losses:
        return self.model.losses(*inputs)


class Trainer:
    """State of one run: network, Adam, step, clock and loss history.

    Args:
        run: the experiment.
        folder: of its checkpoints.
        workers: this process among those that train the run.
    """

    def __init__(self, run: Run, folder: Path, workers: Workers):
        self.run, self.folder, self.workers, self.device = run, folder, workers, workers.device
        torch.manual_seed(run.seed)
        self.model = run.build().to(self.device)
        self.objective = workers.share(Objective(self.model))
        self.noise = torch.Generator(self.device)
        for module in self.model.modules():
            if isinstance(module, Binarizer):
                module.generator, module.share = self.noise, (workers.rank, workers.size)
        self.optimizer = torch.optim.Adam(self._groups(), fused=True)
        self.step, self.seconds = 0, 0.0
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.recent: dict[str, list[float]] = {}

    def _groups(self) -> list[dict]:
        """Weights of compression RNNs and all others, each with its peak learning rate; L2 on all but biases."""
        run = self.run
        codecs = [part for part in self.model.modules() if isinstance(part, CompressionRNN)]
        codec = {id(p): p for part in codecs for p in part.parameters()}
        others = [p for p in self.model.parameters() if id(p) not in codec]
        groups = [
            {"params": others, "peak": run.learning_rate, "warmup": run.warmup, "lr": 0.0},
            {"params": list(codec.values()), "peak": run.codec_learning_rate, "warmup": run.codec_warmup, "lr": 0.0},
        ]
        if run.weight_decay:
            groups = [
                {**group, "params": [p for p in group["params"] if (p.dim() > 1) == decays], "weight_decay": share}
                for group in groups
                for decays, share in ((True, run.weight_decay), (False, 0.0))
            ]
        return [group for group in groups if group["params"]]

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint; False where there is none.

        Raises:
            CheckpointError: the checkpoint was made with other settings.
        """
        state = load_checkpoint(self.folder)
        if state is None:
            return False
        if state["run"] != repr(self.run):
            raise CheckpointError(self.folder, "belongs to a run with other settings", "remove the folder")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.history, self.recent = state["history"], state["recent"]
        return True

    def save(self) -> Path:
        return save_checkpoint(
            self.folder,
            self.step,
            {
                "run": repr(self.run),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "history": self.history,
                "recent": self.recent,
            },
        )

    def advance(self, batch: Batch) -> dict[str, float]:
        """One step of Adam on this process's rows of a minibatch; returns the losses over all rows, by name.

        Raises:
            TrainingError: the loss is not finite; the last checkpoint is from before.
        """
        run = self.run
        self.noise.manual_seed((run.seed << 32) + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(self.step, group["warmup"], run.steps, run.milestones)
        self.optimizer.zero_grad(set_to_none=True)
        images = to_float(batch.images.to(self.device, non_blocking=True))
        occupancy = batch.occupancy.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
            losses: Losses = self.objective(images, occupancy, iterations(run, self.step))
        terms = losses.terms()
        values = dict(zip(terms, self.workers.mean(torch.stack(list(terms.values())).float()).tolist(), strict=True))
        if not math.isfinite(values["total"]):
            raise TrainingError(
                run.id,
                f"the loss is {values['total']} at step {self.step}",
                "lower the learning rate or train in float32",
            )
        losses.total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), run.clip)
        self.optimizer.step()
        self.step += 1
        return values

    def record(self, values: dict[str, float], every: int) -> None:
        """Add the losses of a step to the history, which keeps means of `every` steps."""
        for name, value in values.items():
            recent = self.recent.setdefault(name, [])
            recent.append(value)
            if self.step % every == 0 or self.step == self.run.steps:
                self.history.setdefault(name, []).append((self.step, sum(recent) / len(recent)))
                recent.clear()


def train(
    run: Run,
    folder: Path | None = None,
    parts: list[tuple[Store, np.ndarray]] | None = None,
    max_minutes: float | None = None,
    device: str | None = None,
    workers: int = 1,
    log_every: int = 25,
) -> Trained:
    """Train `run` to its last step, or for `max_minutes`; call it again to go on.

    Args:
        run: the experiment.
        folder: of checkpoints; `_runs/<id>` where None.
        parts: stores and object indices; those named by the run where None.
        max_minutes: stop in good order after so many minutes.
        device: "cpu" or "cuda"; a GPU where there is one.
        workers: processes that load batches; 0 loads them here.
        log_every: steps averaged to one point of the loss history.

    Raises:
        DataError, CheckpointError, TrainingError: see their texts.
    """
    group = Workers.join(device)
    folder = paths.runs() / run.id if folder is None else folder
    with claimed(folder) if group.leads else nullcontext():
        return _train(run, folder, parts, max_minutes, group, workers, log_every)


def _train(run, folder, parts, max_minutes, group, workers, log_every) -> Trained:
    trainer = Trainer(run, folder, group)
    resumed = trainer.resume()
    if max_minutes is not None and max_minutes <= 0:
        raise ConfigError(f"--max-minutes {max_minutes:g}", "leaves no time", "give a positive number of minutes")
    data = batches(run, open_parts(run) if parts is None else parts, group)
    loader = DataLoader(
        data, batch_size=None, sampler=range(trainer.step, run.steps), num_workers=workers,
        prefetch_factor=4 if workers else None, pin_memory=trainer.device.type == "cuda",
    )  # fmt: skip
    if resumed and group.leads:
        print(f"{run.id}: going on from step {trainer.step}", file=sys.stderr)
    started = saved = time.monotonic()
    before = trainer.seconds
    trainer.model.train()
    quiet = None if group.leads else True
    bar = tqdm(loader, desc=run.id, initial=trainer.step, total=run.steps, disable=quiet, unit="step")
    for batch in bar:
        trainer.record(trainer.advance(batch), log_every)
        now = time.monotonic()
        trainer.seconds = before + now - started
        if trainer.history:
            bar.set_postfix(loss=f"{trainer.history['total'][-1][1]:.4f}", refresh=False)
        late = max_minutes is not None and now - started > 60 * max_minutes
        if max_minutes is not None and group.size > 1:  # one late process stops all of them at the same step
            late = group.mean(torch.tensor(float(late), device=trainer.device)).item() > 0
        if group.leads and (now - saved > CHECKPOINT_SECONDS or late or trainer.step == run.steps):
            trainer.save()
            saved = now
        if late:
            break
    group.wait()  # rank 0 may still be writing
    terms = {name: entries for name, entries in trainer.history.items() if name != "total"}
    return Trained(
        trainer.model,
        trainer.step,
        trainer.seconds,
        trainer.history.get("total", []),
        terms,
        trainer.device.type,
        group.leads,
    )
