"""What the paper leaves open: each question finds its two runs, and the verdict follows from the objects."""

import pytest

from compress3d import results
from compress3d.engine.experiment import get_experiment
from compress3d.joint import ablations


def test_every_question_is_about_two_runs_of_the_table():
    for question in ablations.QUESTIONS:
        for scale, steps in (("demo", 600), ("paper", 10_000)):
            pair = [
                get_experiment(ablations.run_id(name, scale, steps))
                for name in (question.first_run, question.second_run)
            ]
            assert {run.optim.steps for run in pair} == {steps}
            assert pair[0].model.name == pair[1].model.name


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))

    def save(name, metric, at):
        points = [{"setting": {"rate": rate}, "metrics": {metric: v}, "bytes_per_view": 0.0} for rate, v in at.items()]
        results.save(ablations.run_id(name, "demo", 600), {"points": points, "provenance": {}})

    return save


def test_the_better_reading_wins_where_a_difference_is_shown(root):
    """Higher IoU is better, and lower loss; a difference of one object in twelve shows nothing."""
    low, high, mixed = [0.25] * 12, [0.5] * 12, [0.25] * 11 + [0.5]
    root("direct", "iou", {384: low, 192: low, 48: low})
    root("direct-concatenated", "iou", {384: high, 192: mixed, 96: high})
    root("small", "image_loss", {384: low})
    root("small-oneshot", "image_loss", {384: high})
    rows = ablations.compare("demo", 600)
    answered = [row for row in rows if row["rate"]]
    assert [(row["question"].second_run, row["rate"], row["verdict"]) for row in answered] == [
        ("direct-concatenated", 384, "D2: side by side"),
        ("direct-concatenated", 192, "no difference shown"),
        ("small-oneshot", 384, "additive"),
    ]
    assert [row[key] for key in ("first", "second", "difference", "low", "high") for row in answered[:1]] == [
        0.25, 0.5, 0.25, 0.25, 0.25
    ]  # fmt: skip
    missing = [row for row in rows if row["verdict"] == ablations.MISSING]
    assert len(missing) == len(ablations.QUESTIONS) - 2
