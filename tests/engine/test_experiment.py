"""The register of experiments against a snapshot of every field of every run, as they were before it was nested."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from compress3d.engine.experiment import DATA, ViewData, experiments, get_experiment, on_data
from compress3d.errors import ConfigError

SNAPSHOT = json.loads((Path(__file__).parent / "fixtures" / "experiments.json").read_text())
# Settings that other models than these do not have; the flat records held a default for them.
UNUSED = {"view_weight": "sum", "concatenated": False, "architecture": "small", "additive": True, "binary": True,
          "fully_connected": False, "initialisation": "he", "upsampling": "nearest", "padded": False}  # fmt: skip


def flat(experiment):
    """An experiment as one flat record."""
    described = experiment.describe()
    model = described["model"]
    found = {"id": described["id"], "scale": described["scale"], "seed": described["seed"], "tag": described["tag"],
             "model": model.pop("name"), **model, **described["optim"], **described["data"]}  # fmt: skip
    found["parts"] = found.pop("sources")
    return json.loads(json.dumps(found))


def test_ids_and_their_order_are_those_of_the_snapshot():
    found = [experiment.id for experiment in experiments() if isinstance(experiment.data, ViewData)]
    assert found == [record["id"] for record in SNAPSHOT]


@pytest.mark.parametrize("record", SNAPSHOT, ids=lambda record: record["id"])
def test_every_field_of_every_experiment_is_as_it_was(record):
    got = flat(get_experiment(record["id"]))
    for name, value in record.items():
        if name in ("training_iterations", "settings"):
            continue
        assert got.pop(name, UNUSED.get(name)) == value, name
    assert got.keys() <= {"name", "test", "network"}  # and nothing new but the names of parts


@pytest.mark.parametrize("record", SNAPSHOT, ids=lambda record: record["id"])
def test_operating_points_and_iterations_are_as_they_were(record):
    experiment = get_experiment(record["id"])
    assert [list(point) for point in experiment.operating_points()] == record["settings"]
    if record["training_iterations"] is not None:
        from compress3d.scales import scale

        assert list(experiment.model.training_iterations(scale(record["scale"]))) == record["training_iterations"]
    else:
        assert not hasattr(experiment.model, "training_iterations")


@pytest.mark.parametrize("data", ["shapenet", "shapenet-ids"])
def test_every_paper_experiment_has_a_twin_on_shapenet(data):
    usual = [experiment for experiment in experiments("paper") if isinstance(experiment.data, ViewData)]
    twins = experiments("paper", data=data)
    assert len(twins) == len(usual) > 60
    for one, twin in zip(usual, twins, strict=True):
        assert twin.id == one.id.replace(f"-s{one.seed}", f"@{data}-s{one.seed}")
        assert get_experiment(twin.id) == twin and twin != one
        assert twin.data.stores == (data,) and twin.data.test == data
        for field in fields(one.data):  # its own augmentation
            if field.name not in ("name", "sources", "test"):
                assert getattr(twin.data, field.name) == getattr(one.data, field.name)


@pytest.mark.parametrize(
    "experiment_id, message",
    [
        ("demo/implicit-r385-s0", "demo/implicit-r384-s0"),
        ("paper/implicit-r384@nothing-s0", "choose one of open, smoke, shapenet"),
        ("demo/implicit-r384@open-s0", "does not exist"),  # one experiment, one id
        ("", "does not exist"),
    ],
)
def test_what_does_not_exist_is_refused(experiment_id, message):
    with pytest.raises(ConfigError, match=message):
        get_experiment(experiment_id)


def test_pattern_and_scale_choose():
    assert [e.id for e in experiments("demo", "implicit-r384-s*")] == [f"demo/implicit-r384-s{s}" for s in range(3)]
    for wrong in ({"scale": "huge"}, {"only": "nothing*"}, {"data": "moon"}):
        with pytest.raises(ConfigError):
            experiments(**wrong)


def test_variant_changes_any_part_and_refuses_what_nobody_has():
    base = get_experiment("demo/direct-s0")
    changed = base.variant("t", concatenated=True, steps=7, background="white", seed=3)
    assert changed.model.concatenated and changed.optim.steps == 7
    assert changed.data.background == "white" and changed.seed == 3
    assert changed.id == "demo/direct-t-s3"
    with pytest.raises(TypeError, match="fully_connected"):
        base.variant("t", fully_connected=True)


def test_data_presets_keep_the_name_that_they_are_found_by():
    assert all(name == data.name for name, data in DATA.items())
    one = get_experiment("demo/small-s0")
    assert on_data(one, "open") == one
