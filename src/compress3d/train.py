"""The training loop: resumable after a kill at any moment, bit-equal for a seed on one machine, time-boxed.

Everything random in step n is a function of (seed, n) alone: the batch, the rate of JPEG 2000, the binarizer's draws.
So a run that was stopped and resumed sees what an undisturbed run sees, and ends with the same weights.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from compress3d import paths
from compress3d.checkpoint import load_checkpoint, save_checkpoint
from compress3d.data.loader import ViewBatches, to_float
from compress3d.data.store import Store
from compress3d.errors import CheckpointError, ConfigError, TrainingError
from compress3d.models.reconstruction import reconstruction_loss
from compress3d.nn.binarizer import Binarizer
from compress3d.runs import JPEG2000_RATES, Run
from compress3d.scales import scale

CHECKPOINT_SECONDS = 120  # at most this much work is lost to a kill


class Jpeg2000Batches(Dataset):
    """Training batches whose images went through JPEG 2000, all of one minibatch at one random rate (Sec. 4.1).

    Rates count payload bytes: at 64 pixels a header alone is larger than most budgets.
    """

    def __init__(self, batches: ViewBatches, seed: int):
        self.batches, self.seed = batches, seed

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int):
        from compress3d.codecs.jpeg2000 import simulate  # needs OpenJPEG, which training machines may lack

        batch = self.batches[step]
        rate = np.random.default_rng([self.seed, step, 2000]).choice(JPEG2000_RATES)
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


def batches(run: Run, parts: list[tuple[Store, np.ndarray]]) -> Dataset:
    """The run's minibatches, indexed by step."""
    size = scale(run.scale)
    plain = ViewBatches(
        parts,
        batch_size=run.batch_size,
        views=run.views,
        image_size=size.image_size,
        grid=size.grid,
        seed=run.seed,
        steps=run.steps,
        mirror=run.mirror,
        background=run.background,
    )
    return Jpeg2000Batches(plain, run.seed) if run.model == "jpeg2000" else plain


def learning_rate(run: Run, step: int) -> float:
    """Linear rise over `run.warmup` steps, then a cosine to zero at `run.steps`."""
    if step < run.warmup:
        return run.learning_rate * (step + 1) / run.warmup
    progress = (step - run.warmup) / max(1, run.steps - run.warmup)
    return run.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class Trained:
    """What `train` returns: the network, how far it came, and the loss on the way."""

    model: nn.Module
    step: int
    seconds: float
    history: list[tuple[int, float]]  # (step, mean L_3D since the entry before)
    device: str

    @property
    def minutes(self) -> float:
        return self.seconds / 60


class Trainer:
    """State of one run: network, Adam, step, clock and loss history.

    Args:
        run: the experiment.
        folder: of its checkpoints.
        device: "cuda" or "cpu"; a GPU where there is one.
    """

    def __init__(self, run: Run, folder: Path, device: str | None = None):
        self.run, self.folder = run, folder
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.manual_seed(run.seed)
        self.model = run.build().to(self.device)
        self.noise = torch.Generator(self.device)
        for module in self.model.modules():
            if isinstance(module, Binarizer):
                module.generator = self.noise
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=run.learning_rate, fused=True)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.recent: list[float] = []

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
        self.history = [tuple(entry) for entry in state["history"]]
        self.recent = list(state["recent"])
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

    def advance(self, images: Tensor, occupancy: Tensor) -> float:
        """One step of Adam on images (B, V, 3, H, W) uint8 and occupancy (B, G, G, G); returns the loss.

        Raises:
            TrainingError: the loss is not finite; the last checkpoint is from before.
        """
        run = self.run
        self.noise.manual_seed((run.seed << 32) + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(run, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
            odds = self.model(to_float(images.to(self.device, non_blocking=True)))
        loss = reconstruction_loss(odds, occupancy.to(self.device, non_blocking=True))
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                run.id, f"the loss is {value} at step {self.step}", "lower the learning rate or train in float32"
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), run.clip)
        self.optimizer.step()
        self.step += 1
        return value

    def record(self, value: float, every: int) -> None:
        """Add the loss of a step to the history, which keeps means of `every` steps."""
        self.recent.append(value)
        if self.step % every == 0 or self.step == self.run.steps:
            self.history.append((self.step, sum(self.recent) / len(self.recent)))
            self.recent = []


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
    trainer = Trainer(run, paths.runs() / run.id if folder is None else folder, device)
    resumed = trainer.resume()
    if max_minutes is not None and max_minutes <= 0:
        raise ConfigError(f"--max-minutes {max_minutes:g}", "leaves no time", "give a positive number of minutes")
    data = batches(run, open_parts(run) if parts is None else parts)
    loader = DataLoader(
        data, batch_size=None, sampler=range(trainer.step, run.steps), num_workers=workers,
        prefetch_factor=4 if workers else None, pin_memory=trainer.device.type == "cuda",
    )  # fmt: skip
    if resumed:
        print(f"{run.id}: going on from step {trainer.step}", file=sys.stderr)
    started = saved = time.monotonic()
    before = trainer.seconds
    trainer.model.train()
    bar = tqdm(loader, desc=run.id, initial=trainer.step, total=run.steps, disable=None, unit="step")
    for batch in bar:
        trainer.record(trainer.advance(batch.images, batch.occupancy), log_every)
        now = time.monotonic()
        trainer.seconds = before + now - started
        if trainer.history:
            bar.set_postfix(loss=f"{trainer.history[-1][1]:.4f}", refresh=False)
        out_of_time = max_minutes is not None and now - started > 60 * max_minutes
        if now - saved > CHECKPOINT_SECONDS or out_of_time or trainer.step == run.steps:
            trainer.save()
            saved = now
        if out_of_time:
            break
    return Trained(trainer.model, trainer.step, trainer.seconds, trainer.history, trainer.device.type)
