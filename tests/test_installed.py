"""The package away from its checkout: the API, and a wheel that rebuilds an object from photos in any folder."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import compress3d
from compress3d import paths
from compress3d.data.testset import open_test_set
from compress3d.photos import synthetic

REPOSITORY = Path(__file__).parents[1]
REBUILD = "import sys, numpy, compress3d; numpy.save(sys.argv[1], compress3d.reconstruct(sys.argv[2:]).probability)"


def test_import_costs_no_torch():
    code = "import sys, compress3d, compress3d.results; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_model_is_loaded_by_name_and_rate():
    model = compress3d.load_model("implicit", rate=384)
    assert model.code_size == 256 and not model.training
    other = compress3d.load_model("demo/implicit-r384-s0")
    assert all((a == b).all() for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_the_version_stands_in_one_place_and_the_citation_agrees():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text()


def test_every_variable_stands_in_the_readme_and_in_help():
    sources = [*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "tools").glob("*.py")]
    used = {name for file in sources for name in re.findall(r"COMPRESS3D_[A-Z0-9_]+", file.read_text())}
    assert used == set(paths.VARIABLES)
    readme = (REPOSITORY / "README.md").read_text()
    shown = subprocess.run([sys.executable, "-m", "compress3d", "--help"], capture_output=True, text=True).stdout
    for name in used:
        assert f"`{name}`" in readme and name in shown.replace("\n", "")


def test_without_a_checkout_writing_goes_to_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "a" / "b" / "compress3d" / "paths.py"))
    for name in ("COMPRESS3D_ROOT", "COMPRESS3D_CACHE", "COMPRESS3D_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.is_installed() and paths.root() == tmp_path / "a" / "b" / "compress3d" / "_shipped"
    assert paths.cache() == tmp_path / "cache" / "compress3d" / "stores"
    assert paths.runs() == tmp_path / "cache" / "compress3d" / "runs"


def test_a_wheel_rebuilds_in_another_folder_what_the_checkout_rebuilds(tmp_path):
    store = open_test_set()
    photos = synthetic.photographs(store, 3, tmp_path)
    sources = tmp_path / "sources"
    ignored = shutil.ignore_patterns(".git", ".venv", "_*", "build", "*.egg-info")
    shutil.copytree(
        REPOSITORY, sources, ignore=lambda folder, names: ignored(folder, names) - {"__init__.py", "__main__.py"}
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "wheel", sources]
    ran = subprocess.run(build, capture_output=True, text=True)
    if ran.returncode and "setuptools" in ran.stderr + ran.stdout:
        pytest.skip("this environment has no setuptools that builds wheels (77 or later)")
    assert ran.returncode == 0, ran.stderr[-2000:]
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    (tmp_path / "elsewhere").mkdir()
    found = {}
    for name, where in (("wheel", tmp_path / "site"), ("checkout", REPOSITORY / "src")):
        ran = subprocess.run(
            [sys.executable, "-c", REBUILD, tmp_path / f"{name}.npy", *photos],
            capture_output=True, text=True, cwd=tmp_path / "elsewhere",
            env={"PYTHONPATH": str(where), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-2000:]
        found[name] = np.load(tmp_path / f"{name}.npy")
    assert np.array_equal(found["wheel"], found["checkout"])
