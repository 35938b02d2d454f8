"""What the receiver sees: by shipped weights alone, and only at the rates that a run serves."""

import torch

from compress3d.joint.received import received_images


def test_decode_gives_none_where_there_are_no_weights_or_no_such_rate(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert received_images({"N": "smoke/small-s0"}, images, [48, 384]) == {"N": {48: None, 384: None}}


def test_decode_by_a_shipped_network(tmp_path, monkeypatch):
    from compress3d.engine.experiment import get_experiment
    from compress3d.engine.weights import save_weights, weights_path

    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    run = get_experiment("smoke/small-s0")
    save_weights(run.build(), weights_path(run), {})
    found = received_images({"N": run.id}, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [48, 50])
    assert found["N"][48].shape == (2, 3, 32, 32) and found["N"][48].dtype == torch.uint8
    assert found["N"][50] is None
