"""Names and shapes of the shipped weights are those of the networks: a renamed layer would orphan them."""

import re

import pytest
from safetensors import safe_open

from compress3d import paths
from compress3d.engine.experiment import get_experiment

FILES = sorted((paths.root() / "weights" / "demo").glob("*.safetensors"))


def test_there_are_weights():
    assert len(FILES) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_keys_and_shapes_of_shipped_weights(path):
    with safe_open(path, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    found = {name: shape for name, shape in shapes.items() if not re.search(r"\.step$", name)}
    state = get_experiment(f"demo/{path.stem}").build().state_dict()
    assert found == {name: tuple(value.shape) for name, value in state.items()}
