"""Studies are found by name in every package, and write one results file each."""

import json
import time

import pytest

import compress3d
from compress3d import results
from compress3d.engine.studies import save_study, studies


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that makes a package with a study, inside compress3d for the time of a test."""
    monkeypatch.setattr(compress3d, "__path__", [*compress3d.__path__, str(tmp_path)])

    def make(package, study):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "studies.py").write_text(
            f'def run(scale, step=1):\n    """Count.\n\n    Slowly.\n    """\n    yield f"{{scale}} {{step}}"\n\n\n'
            f"STUDIES = {{{study!r}: run}}\n"
        )

    return make


def test_a_new_package_brings_its_studies_by_itself(package):
    before = set(studies())
    package("toy_system", "counting")
    found = studies()
    assert set(found) - before == {"counting"}
    assert found["counting"].help == "Count."
    assert list(found["counting"].run("demo", step=3)) == ["demo 3"]


def test_two_studies_of_one_name_are_refused(package):
    package("toy_one", "counting")
    package("toy_two", "counting")
    with pytest.raises(ValueError, match="two studies are called 'counting'.*toy_two"):
        studies()


def test_every_study_says_in_one_line_what_it_measures():
    found = studies()
    assert {"recipe", "views", "textures", "confidence", "timing", "mean-shape"} <= set(found)
    for name, study in found.items():
        assert study.name == name and study.help.endswith(".") and "\n" not in study.help


def test_a_study_is_saved_as_a_results_file_without_points(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    monkeypatch.setattr(time, "monotonic", lambda: 160.0)
    found = save_study("views", "smoke", {"smoke/a-s0": {"miou": 0.5}}, started=100.0, test={"objects": 3})
    assert found == results.load("smoke/views")
    assert found["networks"] == {"smoke/a-s0": {"miou": 0.5}} and found["test"] == {"objects": 3}
    assert found["points"] == [] and found["provenance"]["minutes"] == 1.0
    assert found["provenance"]["commands"] == ["compress3d study views --scale smoke"]
    assert not (tmp_path / "results/manifest.json").exists()  # git keeps no results of the smoke scale
    save_study("views", "demo", {}, started=100.0)
    assert "demo/views.json" in json.loads((tmp_path / "results/manifest.json").read_text())["files"]
