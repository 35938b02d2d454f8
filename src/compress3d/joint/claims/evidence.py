"""What the checks of this paper look at: points by model and rate, and means over trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress3d import claims, results
from compress3d.claims.evidence import Checks
from compress3d.claims.rules import CONTRADICTED, PARTLY, Missing
from compress3d.errors import DataError
from compress3d.metrics import Difference, ratio_interval
from compress3d.paper import paper

JOINT = ("sequential", "direct", "implicit")
RATES = (48, 64, 96, 128, 192, 384)  # of sequential and direct; the JPEG 2000 network serves 480 as well
IMPLICIT_RATES = (48, 96, 192, 384)  # without which nothing is said of the implicit model up to 384
SEEDS = (0, 1, 2)
NEARLY = 0.95  # this share of what is compared with must be kept

TIMINGS = ("paper/timing-cuda", "paper/timing-cpu")  # the first that there is: Table 3 is a GPU's
AVERAGED = ("miou", "iou", "loss", "psnr", "l1", "compression_loss", "image_loss")


@dataclass(frozen=True)
class Evidence(claims.Evidence):
    """Results of one scale, and `timing`, the contents of a timing file, None where there is none."""

    timing: dict | None = None

    @classmethod
    def load(cls, scale: str) -> Evidence:
        """Everything that lies under `results/`."""
        timed = [name for name in TIMINGS if results.path_of(name).is_file()]
        return cls(scale, results.load_all(scale), results.load(timed[0]) if timed else None)

    def run(self, name: str) -> dict:
        """Results of a run, named without its scale.

        Raises:
            Missing: it has not been evaluated.
            DataError: it was evaluated on other objects than the uncompressed network.
        """
        remedy = f"run compress3d study mean-shape --scale {self.scale}" if name == "mean-shape" else ""
        found = self.results(name, remedy)
        reference = self.found.get(f"{self.scale}/uncompressed-s0", found)
        if found["test"]["objects"] != reference["test"]["objects"]:
            run_id = f"{self.scale}/{name}"
            raise DataError(run_id, "was evaluated on other objects", f"run `compress3d evaluate {run_id}`")
        return found

    def name(self, model: str, rate: float | None = None, tag: str = "", fixed: bool = False, seed: int = 0) -> str:
        """Name of the run that serves `model` at `rate`: implicit models and `fixed` ones have it in their name."""
        own = f"-r{rate:g}" if rate is not None and (fixed or model == "implicit") else ""
        return f"{model}{own}{'-' + tag if tag else ''}-s{seed}"

    def has(self, name: str) -> bool:
        """Whether there are results of a run."""
        return f"{self.scale}/{name}" in self.found

    def trainings(
        self, model: str, rate: float | None = None, accounting: str | None = None, tag: str = "", fixed: bool = False
    ) -> list[dict]:
        """The points of a model at a rate (within 1 %), one for each seed that has results, seed 0 first.

        Args:
            model: as in the table of runs, or "mean-shape".
            rate: None for models with one rate.
            accounting: of JPEG 2000, "payload" (where None) or "file".
            tag: of a run with another schedule, such as "600"; `fixed` of one that was trained at this one rate.

        Raises:
            Missing: no such run of seed 0, or it lacks the point.
        """
        wanted = accounting or ("payload" if model == "jpeg2000" else None)
        names = ["mean-shape"] if model == "mean-shape" else [self.name(model, rate, tag, fixed, s) for s in SEEDS]
        found = []
        for name in [names[0], *filter(self.has, names[1:])]:
            for point in self.run(name)["points"]:
                # An implicit run has one point, whose rate may be off its name by what whole channels cost.
                near = rate is None or model == "implicit" or abs(point["rate"] / rate - 1) < 0.01
                if near and wanted in (None, point["accounting"]):
                    found.append(point)
                    break
            else:
                raise Missing(f"run compress3d evaluate {self.scale}/{name}")
        return found

    def point(self, model: str, rate: float | None = None, accounting: str | None = None, **more) -> dict:
        """The point of a model at a rate, its measures averaged over trainings; arguments as of `trainings`."""
        points = self.trainings(model, rate, accounting, **more)
        keys = [key for key in AVERAGED if all(key in point for point in points)]
        return {**points[0], **{key: np.mean([point[key] for point in points], axis=0) for key in keys}}

    def miou(self, model: str, rate: float | None = None, accounting: str | None = None, **more) -> float:
        """Mean IoU over the held-out objects and the trainings; arguments as of `trainings`."""
        return float(self.point(model, rate, accounting, **more)["miou"])

    def image_loss(self, model: str, rate: float, tag: str = "", **more) -> np.ndarray:
        """L_comp of each object's pictures; arguments as of `trainings`."""
        return self.point(model, rate, tag=tag, **more)["image_loss"]

    @property
    def uncompressed(self) -> dict:
        """The point of the uncompressed network."""
        return self.point("uncompressed")

    def retained(self, model: str, rate: float | None = None, accounting: str | None = None, **more) -> float:
        """Mean IoU as a share of the uncompressed network's."""
        return self.miou(model, rate, accounting, **more) / self.miou("uncompressed")

    def retained_text(self, model: str, rate: float | None = None, accounting: str | None = None) -> str:
        """The same with its 95 % interval over the objects: "88 % (82 to 94)"."""
        ends = ratio_interval(self.point(model, rate, accounting)["iou"], self.uncompressed["iou"])
        return "{:.0f} % ({:.0f} to {:.0f})".format(*(100 * end for end in ends))

    def rates(self, model: str, asked: Sequence[int] = RATES) -> list[int]:
        """Those of the asked rates that a model serves.

        An implicit rate whose run is missing counts as not served, unless it is one of `IMPLICIT_RATES`.
        """
        if model != "implicit":
            return list(asked)
        return [c for c in asked if c in IMPLICIT_RATES or self.has(self.name(model, c))]

    def common_schedule(self, *models: str) -> str:
        """Tag of the longest schedule with which all of these models were trained: "" (the figures') or "600"."""
        if all(self.has(self.name(model)) for model in models):
            return ""
        for model in models:
            self.results(self.name(model, tag="600"))
        return "600"

    def differences(
        self, first: str, second: str, rates: Iterable[int], accounting: str | None = None, share: float = 1.0
    ) -> list[Difference]:
        """IoU of `first` minus `share` times that of `second`, rate by rate, over the same objects.

        `second` may be a model without a rate, "uncompressed" or "mean-shape".
        """
        rated = second not in ("uncompressed", "mean-shape")
        pairs = {c: (self.point(first, c), self.point(second, c if rated else None, accounting)) for c in rates}
        return [Difference.of(a["iou"], share * b["iou"], rate=rate) for rate, (a, b) in pairs.items()]

    @property
    def timed(self) -> dict:
        """`timing`; Missing is raised where nothing has been timed."""
        if self.timing is None:
            raise Missing("run compress3d study timing")
        return self.timing

    def times(self, block: str, conditions: str = "as_printed") -> dict:
        """Row of the timing: `forward`, `backward` (ms), `gmac`, and savings in per cent."""
        return self.timed[conditions]["rows"][block]

    @staticmethod
    def printed(key: str, field: str = "value") -> Any:
        """A number that the paper prints, from `book/paper.yml`."""
        return paper(f"golts2021.{key}")[field]

    @property
    def usable_share(self) -> float:
        """The share of uncompressed mIoU that the paper's threshold 0.5 is of its own 0.64.

        The thresholds belong to ShapeNet at full size; a share of uncompressed quality can be asked of any data.
        """
        return self.printed("fig8.sequential_384") / self.printed("fig8.uncompressed")


claim = Checks("golts2021", Evidence)


def payload_first(payload: str, file: str) -> str:
    """Verdict on JPEG 2000 by payload bytes; what holds for whole files alone holds partly."""
    return PARTLY if payload == CONTRADICTED and file != CONTRADICTED else payload
