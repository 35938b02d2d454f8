"""The ablation that settled the training recipe: one setting changed at a time, few steps, one table.

They are scored on held-out CAD objects that are not in the shipped test set, so that nothing was chosen on the objects
that the figures report.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compress3d import metrics, paths, results
from compress3d.data.store import Store
from compress3d.data.testset import open_test_set
from compress3d.engine.evaluate import held_out, probabilities
from compress3d.engine.experiment import DataSource, Experiment, get_experiment
from compress3d.engine.hardware import commit
from compress3d.engine.train import train

STEPS = 200


def variants(scale: str = "demo") -> dict[tuple[str, str], Experiment]:
    """(choice, setting) -> experiment; "as trained" is the common recipe, cut to `STEPS` steps."""
    base = get_experiment(f"{scale}/uncompressed-s0").variant("choice", steps=STEPS)
    return {
        ("recipe", "as trained"): base,
        ("background", "white"): base.variant("white", background="white"),
        ("initialisation", "PyTorch's default"): base.variant("default", initialisation="default"),
        ("learning rate", "3e-3"): base.variant("fast", learning_rate=3e-3),
        ("data", "CAD only"): base.variant("cad", sources=(DataSource("cad"),)),
        ("data", "procedural only"): base.variant("shapes", sources=(DataSource("shapes"),)),
    }


def validation(store: Store) -> np.ndarray:
    """Test rows of the CAD store that the shipped set leaves alone (other licences, other classes)."""
    shipped = {record.uid for record in open_test_set().objects}
    return np.array([row for row in store.select(split="test", clean=True) if store.objects[row].uid not in shipped])


def run(scale: str = "demo") -> Iterator[str]:
    """Train short variants of the training recipe and score them on objects outside the test set.

    Writes `results/<scale>/choices.json` after each; resumes where it stopped.
    """
    store = Store.open(paths.cache() / "cad")
    rows = validation(store)
    categories = [store.objects[row].category for row in rows]
    table: list[dict] = []
    for (choice, setting), short in variants(scale).items():
        trained = train(short)
        images, truth = held_out(short, store, rows)
        scored = metrics.summary(probabilities(trained.model.eval(), images), truth, categories)
        table.append(
            {"choice": choice, "setting": setting, "miou": scored["miou"], "loss": scored["loss"],
             "steps": trained.step, "minutes": trained.minutes, **trained.hardware}
        )  # fmt: skip
        data = {
            "experiment": {**short.describe(), "id": f"{scale}/choices", "tag": "choice"},
            "points": [],  # nothing here belongs on a curve of results
            "rows": table,
            "note": f"{len(rows)} held-out CAD objects outside the shipped set, {STEPS} steps, seed {short.seed}",
            "objects": len(rows),
        }
        provenance = {"commands": [f"compress3d study recipe --scale {scale}"], **trained.hardware,
                      "precision": trained.precision, "commit": commit(),
                      "minutes": sum(row["minutes"] for row in table), "versions": results.versions()}  # fmt: skip
        results.save(f"{scale}/choices", {**data, "provenance": provenance})
        yield f"{choice:16s} {setting:22s} mIoU {scored['miou']:.3f}  loss {scored['loss']:.4f}"
