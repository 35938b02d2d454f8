"""What a check of a claim may look at, how it says that something is missing, and the rules that its verdicts share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from compress3d import metrics, results
from compress3d.engine.experiment import experiments
from compress3d.errors import DataError
from compress3d.figures.tables import paper

REPRODUCED, PARTLY, FAILED = "reproduced", "partly", "not reproduced"
UNTESTABLE, NOT_RUN = "not testable here", "not run yet"
VERDICTS = (REPRODUCED, PARTLY, FAILED, UNTESTABLE, NOT_RUN)

JOINT = ("sequential", "direct", "implicit")
RATES = (48, 64, 96, 128, 192, 384)  # of sequential and direct; the JPEG 2000 network serves 480 as well
IMPLICIT_RATES = (48, 96, 192, 384)  # without which nothing is said of the implicit model up to 384
NEAR = 0.95  # "nearly": this share of what is compared with must be kept

TIMINGS = ("paper/timing-cuda", "paper/timing-cpu")  # the first that there is: Table 3 is a GPU's

Answer = tuple[str, str]
CHECKS: dict[str, Callable[[Evidence], Answer]] = {}


def claim(claim_id: str) -> Callable[[Callable[[Evidence], Answer]], Callable[[Evidence], Answer]]:
    """Registers a check under the id that its claim has in `book/claims.yml`."""

    def register(check: Callable[[Evidence], Answer]) -> Callable[[Evidence], Answer]:
        if claim_id in CHECKS:
            raise ValueError(f"two checks of claim {claim_id!r}")
        CHECKS[claim_id] = check
        return check

    return register


class Missing(Exception):
    """A check needs results that are not there; `remedy` says how to get them."""

    def __init__(self, remedy: str):
        super().__init__(remedy)
        self.remedy = remedy


@cache
def registered() -> frozenset[str]:
    """Ids of every experiment."""
    return frozenset(experiment.id for experiment in experiments())


@dataclass(frozen=True)
class Evidence:
    """Results of one scale, and the timing of the networks.

    Attributes:
        scale: "smoke", "demo" or "paper".
        found: run id -> contents, as `results.load_all(scale)` gives them.
        timing: contents of a timing file, None where there is none.
    """

    scale: str
    found: Mapping[str, dict]
    timing: dict | None = None

    @classmethod
    def load(cls, scale: str) -> Evidence:
        """Everything that lies under `results/`; a timing on a GPU goes first."""
        timed = [name for name in TIMINGS if results.path_of(name).is_file()]
        return cls(scale, results.load_all(scale), results.load(timed[0]) if timed else None)

    def run(self, name: str) -> dict:
        """Results of a run, named without its scale, such as "implicit-r384-s0".

        Raises:
            Missing: it has not been evaluated.
            DataError: it was evaluated on other objects than the uncompressed network.
        """
        run_id = f"{self.scale}/{name}"
        if run_id not in self.found:
            raise Missing(self._remedy(name))
        reference = self.found.get(f"{self.scale}/uncompressed-s0", self.found[run_id])
        if self.found[run_id].get("test", {}).get("objects") != reference.get("test", {}).get("objects"):
            raise DataError(run_id, "was evaluated on other objects", f"run `compress3d evaluate {run_id}`")
        return self.found[run_id]

    def _remedy(self, name: str) -> str:
        """What makes the results of a run."""
        if name == "mean-shape":
            return f"run compress3d floor --scale {self.scale}"
        if f"{self.scale}/{name}" not in registered():
            return f"scale {self.scale} has no run {name}"
        return f"run compress3d sweep --scale {self.scale} --only {name}"

    def name(self, model: str, rate: float | None = None, tag: str = "", fixed: bool = False, seed: int = 0) -> str:
        """Name of the run that serves `model` at `rate`: implicit models and `fixed` ones have it in their name."""
        own = f"-r{rate:g}" if rate is not None and (fixed or model == "implicit") else ""
        return f"{model}{own}{'-' + tag if tag else ''}-s{seed}"

    def point(
        self,
        model: str,
        rate: float | None = None,
        accounting: str | None = None,
        tag: str = "",
        fixed: bool = False,
        seed: int = 0,
    ) -> dict:
        """The point of a model at a rate (within 1 %).

        Args:
            model: as in the table of runs, or "mean-shape".
            rate: None for models with one rate.
            accounting: of JPEG 2000, "payload" (where None) or "file".
            tag: of a run with another schedule, such as "600".
            fixed: the run was trained at this one rate.
            seed: of the run.

        Raises:
            Missing: no such run, or it lacks the point.
        """
        name = "mean-shape" if model == "mean-shape" else self.name(model, rate, tag, fixed, seed)
        wanted = accounting or ("payload" if model == "jpeg2000" else None)
        for point in self.run(name)["points"]:
            # An implicit run has one point, whose rate may be off its name by what whole channels cost.
            near = rate is None or model == "implicit" or abs(point["rate"] / rate - 1) < 0.01
            if near and wanted in (None, point["accounting"]):
                return point
        raise Missing(f"run compress3d evaluate {self.scale}/{name}")

    def miou(self, model: str, rate: float | None = None, accounting: str | None = None, **more) -> float:
        """Mean IoU over the held-out objects; arguments as of `point`."""
        return self.point(model, rate, accounting, **more)["miou"]

    def loss(self, model: str, rate: float, tag: str = "", **more) -> list[float]:
        """L_comp of each object's pictures; arguments as of `point`."""
        return self.point(model, rate, tag=tag, **more)["picture_loss"]

    @property
    def free(self) -> dict:
        """The point of the uncompressed network."""
        return self.point("uncompressed")

    def rates(self, model: str, asked: Sequence[int] = RATES) -> list[int]:
        """Those of the asked rates that a model serves.

        An implicit rate whose run is missing counts as not served, unless it is one of `IMPLICIT_RATES`.
        """
        if model != "implicit":
            return list(asked)
        return [c for c in asked if c in IMPLICIT_RATES or f"{self.scale}/{self.name(model, c)}" in self.found]

    def alike(self, *models: str) -> str:
        """Tag of the longest schedule with which all of these models were trained: "" (the figures') or "600".

        Raises:
            Missing: they share none.
        """
        names = {tag: [self.name(model, tag=tag) for model in models] for tag in ("", "600")}
        for tag, wanted in names.items():
            if all(f"{self.scale}/{name}" in self.found for name in wanted):
                return tag
        planned = [
            wanted for wanted in names.values() if all(f"{self.scale}/{name}" in registered() for name in wanted)
        ]
        absent = [name for name in (planned or list(names.values()))[0] if f"{self.scale}/{name}" not in self.found]
        raise Missing(self._remedy(absent[0]))

    def versus(
        self, first: str, second: str, rates: Iterable[int], accounting: str | None = None, share: float = 1.0
    ) -> list[Difference]:
        """IoU of `first` minus `share` times that of `second`, rate by rate, over the same objects.

        `second` may be a model without a rate, "uncompressed" or "mean-shape".
        """
        found = []
        for rate in rates:
            a = self.point(first, rate)["iou"]
            b = self.point(second, None if second in ("uncompressed", "mean-shape") else rate, accounting)["iou"]
            found.append(Difference.of(rate, a, [share * v for v in b]))
        return found

    def times(self, block: str, conditions: str = "as_printed") -> dict:
        """Row of the timing: `forward`, `backward` (ms), `gmac`, and savings in per cent.

        Raises:
            Missing: nothing has been timed.
        """
        if self.timing is None:
            raise Missing("run compress3d timing")
        return self.timing[conditions]["rows"][block]


@dataclass(frozen=True)
class Difference:
    """A mean difference at one rate with its paired 95 % interval over the objects."""

    rate: float | None
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, rate: float | None, first: Sequence[float], second: Sequence[float]) -> Difference:
        """`first` minus `second`, over the same objects."""
        return cls(rate, *metrics.paired_interval(first, second))

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def above(differences: Iterable[Difference]) -> list[Difference]:
    """Those whose whole interval lies above 0."""
    return [d for d in differences if d.low > 0]


def judge(differences: Sequence[Difference]) -> str:
    """The rule for "is better": all intervals above 0; partly where one is, or all means are; else not."""
    if len(above(differences)) == len(differences):
        return REPRODUCED
    return PARTLY if above(differences) or all(d.mean > 0 for d in differences) else FAILED


def tally(parts: Iterable[bool]) -> str:
    """The rule for a claim of several parts: all hold, some do, none does."""
    held = list(parts)
    return REPRODUCED if all(held) else PARTLY if any(held) else FAILED


def headline(payload: str, file: str) -> str:
    """Verdict on JPEG 2000 by payload bytes; what holds for whole files alone holds partly."""
    return PARTLY if payload == FAILED and file != FAILED else payload


def share_of(differences: Sequence[Difference]) -> str:
    """ "3 of 6": how many intervals lie above 0."""
    return f"{len(above(differences))} of {len(differences)}"


def kept(point: Mapping, free: Mapping) -> float:
    """Mean IoU as a share of the uncompressed network's."""
    return point["miou"] / free["miou"]


def printed(key: str, field: str = "value") -> float:
    """A number that the paper prints, from `book/paper.yml`."""
    return paper(f"golts2021.{key}")[field]


def usable() -> float:
    """The share of uncompressed mIoU that the paper's threshold 0.5 is of its own 0.64.

    The thresholds themselves belong to ShapeNet at full size; a share of uncompressed quality can be asked of any data.
    """
    return printed("fig8.sequential_384") / printed("fig8.uncompressed")
