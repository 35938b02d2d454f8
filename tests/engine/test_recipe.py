"""The wiring of the recipe: that every setting of an experiment reaches its place.

The layers are tested elsewhere; here it is what decides the numbers of the book: clipping, groups, schedule, autocast,
iterations, starting weights, augmentation, channel.
"""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import compress3d.engine.hardware as hardware
import compress3d.engine.sources as sources_module
from compress3d.baselines.experiments import Pix2VoxConfig
from compress3d.data.loader import Batch, to_float
from compress3d.engine.distributed import ProcessGroup
from compress3d.engine.experiment import DataSource, ExponentialOptim, OptimConfig, ViewData, get_experiment
from compress3d.engine.hardware import choose_precision, native_bfloat16
from compress3d.engine.optim import parameter_groups
from compress3d.engine.sources import batches, open_sources
from compress3d.engine.step import Step
from compress3d.engine.train import Trainer, train
from compress3d.joint.compression import CompressionRNN
from compress3d.joint.experiments import (
    JPEG2000_RATES,
    CompressionConfig,
    DirectConfig,
    ImplicitConfig,
    Jpeg2000Config,
    SequentialConfig,
)
from compress3d.layers.binarizer import Binarizer
from compress3d.r2n2.experiments import R2N2Config
from compress3d.scales import scale

CPU = torch.device("cpu")


def started(run, folder):
    trainer = Trainer(run, folder, ProcessGroup.init("cpu"))
    trainer.start()
    trainer.model.train()
    return trainer


# -- a step by hand ----------------------------------------------------------------------------------------------------


def hand_loop(run, data, steps, precision):
    """Training in the plainest words: one Adam of two groups, each with its own warm-up."""
    torch.manual_seed(run.seed)
    model, optim, noise = run.build().train(), run.optim, torch.Generator()
    for module in model.modules():
        if isinstance(module, Binarizer):
            module.generator = noise
    codec = [
        n for n, _ in model.named_parameters() if n.startswith("compression.") or isinstance(model, CompressionRNN)
    ]
    named, losses = dict(model.named_parameters()), []
    groups = [
        ([p for n, p in named.items() if n not in codec], optim.learning_rate, optim.warmup),
        ([p for n, p in named.items() if n in codec], optim.codec_learning_rate, optim.codec_warmup),
    ]
    adam = torch.optim.Adam([{"params": params, "lr": 0.0} for params, _, _ in groups if params], fused=True)
    rates = [(peak, warmup) for params, peak, warmup in groups if params]
    for n in range(steps):
        noise.manual_seed((run.seed << 32) + n)
        for group, (peak, warmup) in zip(adam.param_groups, rates, strict=True):
            progress = (n - warmup) / (optim.steps - warmup)
            group["lr"] = peak * ((n + 1) / warmup if n < warmup else 0.5 * (1 + np.cos(np.pi * progress)))
        batch = data[n]
        model.training_iterations = getattr(model, "training_iterations", None)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = loss_by_hand(model, to_float(batch.images), batch.occupancy, Step(n, run.seed))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip)
        adam.step()
        losses.append(loss.item())
    return model, losses


def loss_by_hand(model, images, occupancy, step):
    """Eq. 14, 15 and 16 of a minibatch, N drawn by the step."""
    V = images.shape[1]
    if model.training_iterations is None:
        return nn.functional.binary_cross_entropy_with_logits(model(images).float(), occupancy.float())
    N = int(np.random.default_rng([step.seed, step.number, 12]).integers(*model.training_iterations, endpoint=True))
    rnn = getattr(model, "compression", model)
    coded = rnn(images.flatten(0, 1), N)
    l_comp = (images.flatten(0, 1).unsqueeze(1) - coded.decoded).abs().mean()
    if rnn is model:
        return l_comp
    logits = model.recover(coded, V).float()
    return V * l_comp + nn.functional.binary_cross_entropy_with_logits(logits, occupancy.float())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "model",
    [ImplicitConfig(384), SequentialConfig(), DirectConfig(), CompressionConfig(), R2N2Config("gru-3")],
    ids=lambda model: model.name,
)
def test_three_steps_equal_a_loop_by_hand(run, sources, tmp_path, monkeypatch, model, precision):
    """Clipping (the norms here are far over 0.05), groups with their warm-up, autocast, schedule, iterations."""
    monkeypatch.setattr(hardware, "native_bfloat16", lambda device: True)  # so that this machine uses it
    run = replace(run, model=model).variant("", clip=0.05, codec_warmup=3, codec_learning_rate=7e-3, steps=5)
    run = run.variant("", precision=precision)
    data, trainer = batches(run, sources), started(run, tmp_path)
    assert trainer.precision == precision
    losses = [trainer.advance(data[n])["total"] for n in range(3)]
    expected, expected_losses = hand_loop(run, data, 3, precision)
    # bfloat16 keeps 8 bits: losses agree to a few thousandths, and differ from float32's by more than float32 differs
    # from itself.
    assert losses == pytest.approx(expected_losses, rel=1e-5)
    for (name, got), value in zip(trainer.model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got, value, atol=1e-6, rtol=1e-4, msg=name)
    if precision == "bfloat16":
        _, in_float32 = hand_loop(run, data, 3, "float32")
        assert losses != pytest.approx(in_float32, rel=1e-5)


def test_clipping_bounds_what_adam_sees(run, sources, tmp_path):
    trainer = started(run.variant("", clip=1e-3), tmp_path)
    trainer.advance(batches(run, sources)[0])
    norm = torch.stack([p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("model", [SequentialConfig(), DirectConfig(), CompressionConfig()], ids=lambda m: m.name)
def test_codec_has_its_own_rate_and_warmup(run, tmp_path, model):
    run = replace(run, model=model).variant("", codec_learning_rate=0.011, codec_warmup=33, weight_decay=0.5)
    trainer = started(run, tmp_path)
    codec = {id(p) for m in trainer.model.modules() if isinstance(m, CompressionRNN) for p in m.parameters()}
    seen = set()
    for group in trainer.optimizers[""].param_groups:
        for p in group["params"]:
            own = (0.011, 33) if id(p) in codec else (run.optim.learning_rate, run.optim.warmup)
            assert (group["peak"], group["warmup"]) == own
            assert group["weight_decay"] == (0.5 if p.dim() > 1 else 0.0)
            seen.add(id(p))
    assert seen == {id(p) for p in trainer.model.parameters()}


@pytest.mark.parametrize("number", range(8))
def test_learning_rates_follow_the_schedule(run, sources, tmp_path, number):
    run = run.variant("", warmup=2, milestones=(4, 6))
    trainer = started(run, tmp_path)
    trainer.step = number
    trainer.advance(batches(run, sources)[0])
    (group,) = trainer.optimizers[""].param_groups
    by_hand = {0: 0.5, 1: 1, 2: 1, 3: 1, 4: 0.1, 5: 0.1, 6: 0.01, 7: 0.01}[number]
    assert group["lr"] == pytest.approx(3e-3 * by_hand) == pytest.approx(3e-3 * run.optim.factor(number, 2))


@pytest.mark.parametrize("number", range(8))
def test_exponential_rate_falls_by_the_same_factor_in_every_step(run, sources, tmp_path, number):
    for more, first, last in (({}, 0, 8), ({"first_step": 30, "decay_steps": 40}, 30, 40)):
        optim = ExponentialOptim(**run.optim.__dict__ | {"warmup": 0} | more, decay=0.01)
        trainer = started(replace(run, optim=optim), tmp_path)
        trainer.step = number
        trainer.advance(batches(run, sources)[0])
        (group,) = trainer.optimizers[""].param_groups
        assert group["lr"] == pytest.approx(3e-3 * 10 ** (-2 * (first + number) / last))


# -- iterations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, fewest, most",
    [
        (SequentialConfig(), 1, 8),
        (DirectConfig(), 1, 8),
        (CompressionConfig(), 1, 8),
        (CompressionConfig(network="original"), 1, 4),
        (CompressionConfig(48), 8, 8),
        (SequentialConfig(6, binary=False), 2, 2),
    ],
    ids=str,
)
def test_every_number_of_iterations_is_drawn_the_most_too(run, sources, tmp_path, model, fewest, most):
    """What the networks are asked for over 60 steps; each of 8 has a chance of 1e-3.5 to be left out."""
    trainer = started(replace(run, model=model).variant("", steps=60), tmp_path)
    rnn, asked = getattr(trainer.model, "compression", trainer.model), []
    forward = rnn.forward

    def recorded(images, iterations):
        asked.append(iterations)
        return forward(images[:1].expand_as(images), 1)

    rnn.forward = recorded
    if rnn is not trainer.model:
        trainer.model.recover = lambda coded, views: coded.decoded.mean() + torch.zeros(3, 16, 16, 16)
    batch = batches(run, sources)[0]
    for number in range(60):
        trainer.model.training_step(batch, Step(number, 0))
    drawn = [int(Step(n, 0).rng(12).integers(fewest, most, endpoint=True)) for n in range(60)]
    assert asked == drawn and set(asked) == set(range(fewest, most + 1))


# -- starting weights --------------------------------------------------------------------------------------------------


def gains(model):
    """Deviation of each convolution's and linear layer's weights times sqrt(fan-in / 2): 1 for He's start."""
    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)) and layer.weight.numel() > 500:
            found[name] = (layer.weight.std() * (layer.weight[0].numel() / 2) ** 0.5).item()
    return found


WITH_VOXELS = [R2N2Config(), ImplicitConfig(384), SequentialConfig(), DirectConfig(), Jpeg2000Config()]


@pytest.mark.parametrize("model", WITH_VOXELS, ids=lambda model: model.name)
def test_he_start_reaches_encoder_and_decoder(model):
    """PyTorch's default has a deviation of 1 / sqrt(3 fan-in): 0.41 in these units."""
    torch.manual_seed(0)
    built = model.build(scale("demo"))
    plain = replace(model, initialisation="default").build(scale("demo"))
    started_he, usual = gains(built), gains(plain)
    mine = [n for n in started_he if ("encoder.convs" in n or "decoder.convs" in n) and "compression" not in n]
    assert len(mine) >= 4
    for name in mine:
        assert started_he[name] == pytest.approx(1, abs=0.12), name
        assert usual[name] == pytest.approx(0.41, abs=0.06), name


WITH_CODEC = [SequentialConfig(), DirectConfig(), CompressionConfig(), CompressionConfig(network="original")]


@pytest.mark.parametrize("model", WITH_CODEC, ids=lambda model: model.name)
def test_codec_starts_with_gates_of_unit_variance(model):
    torch.manual_seed(0)
    rnn = model.build(scale("demo"))
    rnn = getattr(rnn, "compression", rnn)
    first, second = rnn.encoder.rnns[0].W_x.weight, rnn.encoder.rnns[1].W_x.weight
    assert first.std().item() * first[0].numel() ** 0.5 == pytest.approx(1, rel=0.05)
    assert second.std().item() * second[0].numel() ** 0.5 == pytest.approx(1 / 0.16, rel=0.05)
    if rnn.encoder.code is not None:
        code = rnn.encoder.code.weight
        assert code.std().item() * code[0].numel() ** 0.5 == pytest.approx(1 / 0.16, rel=0.1)


def test_start_of_the_original_3d_r2n2_has_its_biases():
    torch.manual_seed(0)
    model = R2N2Config("gru-3", initialisation="msra").build(scale("smoke"))
    biases = [p for n, p in model.encoder.named_parameters() if n.endswith("bias")]
    assert biases and all((b == 0.1).all() for b in biases)


# -- every field -------------------------------------------------------------------------------------------------------

OTHER = {
    "views": (2, 2),
    "background": "white",
    "mirror": False,
    "flip": True,
    "replacement": True,
    "pictures": "crops",
}
LOADER = [field.name for field in fields(ViewData) if field.name not in ("name", "sources", "test")]


class Recorded:
    """Stands for `ViewBatches` and keeps what it was given."""

    def __init__(self, sources, **given):
        self.given = given


@pytest.mark.parametrize("name", LOADER)
def test_every_field_of_the_data_reaches_the_loader(run, monkeypatch, name):
    monkeypatch.setattr(sources_module, "ViewBatches", Recorded)
    usual = batches(run, []).given
    changed = batches(run.variant("", **{name: OTHER[name]}), []).given
    assert getattr(run.data, name) != OTHER[name] == changed[name]
    assert {key for key in usual if usual[key] != changed[key]} == {name}
    assert usual[name] == getattr(run.data, name)


def test_sizes_and_seeds_reach_the_loader(run, monkeypatch):
    monkeypatch.setattr(sources_module, "ViewBatches", Recorded)
    given = batches(replace(run, seed=5).variant("", seed=5, batch_size=7, steps=11), []).given
    expected = {"batch_size": 7, "steps": 11, "seed": 5, "image_size": 32, "grid": 16}
    assert expected.items() <= given.items()


def test_a_source_gives_the_clean_objects_of_its_split_as_often_as_it_says(run, monkeypatch):
    class Fake:
        def select(self, split, clean):
            assert clean
            return {"train": np.array([0, 2]), "val": np.array([1])}[split]

    monkeypatch.setattr(sources_module, "ensure", {"one": Fake(), "two": Fake()}.__getitem__)
    given = (DataSource("one", repeat=3), DataSource("two", split="val"))
    found = open_sources(run.variant("", sources=given))
    assert [rows.tolist() for _, rows in found] == [[0, 2, 0, 2, 0, 2], [1]]


@pytest.mark.parametrize("name, seen", [
    ("mirror", lambda black, other: (black.occupancy != other.occupancy).any()),
    ("flip", lambda black, other: torch.equal(black.occupancy, other.occupancy)),
    ("background", lambda black, other: (other.images[..., 0, 0] == 255).all()),
    ("replacement", lambda black, other: (black.images != other.images).any()),
])  # fmt: skip
def test_augmentation_is_seen_in_the_minibatches(run, store, name, seen):
    """On objects that are not their own mirror images."""
    rows = [(store, np.arange(len(store)))]
    run = run.variant("", views=(3, 3), batch_size=12)
    usual = batches(run, rows)[0]
    other = batches(run.variant("", **{name: OTHER[name]}), rows)[0]
    assert not torch.equal(usual.images, other.images) and seen(usual, other)


@pytest.mark.parametrize("rate, rates", [(None, JPEG2000_RATES), (12, (12,)), (6, (6,))])
def test_jpeg2000_network_is_trained_at_its_rates(run, sources, monkeypatch, rate, rates):
    """Over 200 steps each of the rates, and no other; payload bytes."""
    used = []
    monkeypatch.setattr(
        "compress3d.codecs.channel.Jpeg2000.send",
        lambda self, images, rate: used.append((self.accounting, rate)) or SimpleNamespace(images=images),
    )
    data = batches(replace(run, model=Jpeg2000Config(rate)).variant("", steps=200), sources)
    for step in range(200):
        data[step]
    assert {rate for _, rate in used} == set(rates) and {accounting for accounting, _ in used} == {"payload"}


def test_networks_of_other_channels_get_untouched_views(run, sources):
    untouched = batches(run, sources)[0].images
    for model in (R2N2Config(), SequentialConfig(), Pix2VoxConfig()):
        assert torch.equal(batches(replace(run, model=model), sources)[0].images, untouched)


OPTIM = {"steps": 9, "batch_size": 4, "learning_rate": 0.5, "warmup": 5, "codec_learning_rate": 0.7, "codec_warmup": 6,
         "clip": 1e-4, "milestones": (1,), "weight_decay": 0.3, "precision": "bfloat16"}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(OptimConfig)])
def test_every_field_of_the_optimisation_changes_the_weights(run, sources, tmp_path, monkeypatch, name):
    monkeypatch.setattr(hardware, "native_bfloat16", lambda device: True)
    run = replace(run, model=DirectConfig()).variant("", steps=4)
    ends = []
    for number, experiment in enumerate((run, run.variant("", **{name: OPTIM[name]}))):
        trainer = started(experiment, tmp_path / str(number))
        data = batches(experiment, sources)
        for step in range(4):
            trainer.advance(data[step])
        ends.append(trainer.model.state_dict())
    assert any(not torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


MODELS = {
    R2N2Config(): {"network": "gru-3", "upsampling": "zeros", "padded": True, "initialisation": "msra"},
    ImplicitConfig(12): {"rate": 48, "fully_connected": True, "binary": False, "initialisation": "default"},
    Jpeg2000Config(): {"rate": 12, "initialisation": "default"},
    CompressionConfig(): {"rate": 48, "additive": False, "binary": False, "initialisation": "default",
                          "network": "original"},
    SequentialConfig(): {"rate": 48, "additive": False, "binary": False, "initialisation": "default",
                         "architecture": "original", "view_weight": "mean"},
    DirectConfig(): {"rate": 48, "additive": False, "binary": False, "initialisation": "default",
                     "architecture": "original", "view_weight": "mean", "concatenated": True},
}  # fmt: skip
FIELDS = [(model, field.name) for model in MODELS for field in fields(model)]


@pytest.mark.parametrize("model, name", FIELDS, ids=[f"{model.name}-{name}" for model, name in FIELDS])
def test_every_field_of_a_model_changes_its_training(run, sources, model, name):
    """Another loss in the first three steps with the same seed and data, in the network's own minibatches."""

    def losses(config):
        experiment = replace(run, model=config)
        torch.manual_seed(0)
        network = Trainer(experiment, None, ProcessGroup.init("cpu")).model.train()
        data, found = batches(experiment, sources), []
        for n in range(3):
            torch.manual_seed(n)
            batch = Batch(data[n].images, data[n].occupancy, data[n].items)
            found.append(network.training_step(batch, Step(n, 0)).total.item())
        return found

    assert losses(model) != losses(replace(model, **{name: MODELS[model][name]}))


# -- precision ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, native",
    [
        ({}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_f": True, "avx2": True, "amx_bf16": False}, False),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(monkeypatch, capsys, flags, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert native_bfloat16(CPU) == native
    assert choose_precision("bfloat16", CPU) == ("bfloat16" if native else "float32")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (0 if native else 1) and all("float32 instead of bfloat16" in line for line in said)
    assert choose_precision("float32", CPU) == "float32"


def test_resumed_run_keeps_the_precision_that_it_began_with(run, sources, tmp_path, monkeypatch):
    run = run.variant("", precision="bfloat16")
    for first, later in ((True, False), (False, True)):
        monkeypatch.setattr(hardware, "native_bfloat16", lambda device, native=first: native)
        began = train(run, tmp_path / str(first), sources, max_minutes=1e-9, num_workers=0)
        monkeypatch.setattr(hardware, "native_bfloat16", lambda device, native=later: native)
        ended = train(run, tmp_path / str(first), sources, num_workers=0)
        assert began.step == 1 and ended.step == run.optim.steps
        assert began.precision == ended.precision == ("bfloat16" if first else "float32")


# -- other kinds of systems --------------------------------------------------------------------------------------------


class ToyAdversarial(nn.Module):
    """A generator of a number and a critic of it: two optimizers, terms of their own, no voxels."""

    optimizers = ("generator", "discriminator")

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = nn.Linear(1, 1), nn.Linear(1, 1)
        self.calls = []

    def parameter_groups(self, optim, optimizer):
        peak = optim.learning_rate * (1 if optimizer == "generator" else 10)
        return [{"params": list(getattr(self, optimizer).parameters()), "peak": peak, "warmup": 1, "lr": 0.0}]

    def training_step(self, batch, step, optimizer):
        self.calls.append((step.number, optimizer))
        fake = self.generator(torch.ones(4, 1))
        score = self.discriminator(fake if optimizer == "generator" else fake.detach())
        total = score.square().mean() if optimizer == "generator" else (1 - score).square().mean()
        return SimpleNamespace(total=total, terms={"score": score.mean()})


class ToyConfig(R2N2Config):
    def build(self, scale):
        return ToyAdversarial()


def test_two_optimizers_take_turns_and_leave_each_others_weights_alone(run, sources, tmp_path):
    run = replace(run, model=ToyConfig()).variant("", clip=100.0)
    trainer = started(run, tmp_path)
    twin = ToyAdversarial()
    twin.load_state_dict(trainer.model.state_dict())
    adams = {name: torch.optim.Adam(getattr(twin, name).parameters()) for name in twin.optimizers}
    data = batches(run, sources)
    for n in range(3):
        values = trainer.advance(data[n])
        assert list(values) == ["generator/total", "generator/score", "discriminator/total", "discriminator/score"]
        for name, adam in adams.items():
            for group in adam.param_groups:
                group["lr"] = run.optim.learning_rate * run.optim.factor(n, 1) * (10 if name == "discriminator" else 1)
            twin.zero_grad()
            twin.training_step(None, Step(n, 0), name).total.backward()
            adam.step()
    assert trainer.model.calls == [(n, name) for n in range(3) for name in twin.optimizers]
    for got, expected in zip(trainer.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)
    trainer.record(values, 1)
    trainer.save()
    again = Trainer(run, tmp_path, ProcessGroup.init("cpu"))
    assert again.start() and again.step == 3
    again.model.train()
    first, second = trainer.advance(data[3]), again.advance(data[3])
    assert first == second


class ToyDefault(nn.Linear):
    """A network with nothing but `training_step`."""

    def __init__(self):
        super().__init__(2, 1)

    def training_step(self, batch, step):
        return SimpleNamespace(total=self(torch.ones(1, 2)).sum(), terms={})


def test_a_network_without_groups_has_one_of_all_its_weights():
    model = ToyDefault()
    (group,) = parameter_groups(model, OptimConfig(learning_rate=0.1, warmup=3))
    assert group["params"] == list(model.parameters()) and (group["peak"], group["warmup"]) == (0.1, 3)
    weights, biases = parameter_groups(model, OptimConfig(weight_decay=0.2))
    assert weights["params"] == [model.weight] and weights["weight_decay"] == 0.2
    assert biases["params"] == [model.bias] and biases["weight_decay"] == 0.0


def test_published_runs_name_their_precision():
    for name, precision in (("demo/implicit-r384-s0", "bfloat16"), ("smoke/small-s0", "float32")):
        assert get_experiment(name).describe()["optim"]["precision"] == precision


class ToyGrowing(nn.Module):
    """A table that gets finer at steps 2 and 5, out of the coarser one."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.linspace(-1, 1, 4))
        self.begun = []

    def begin(self, step):
        self.begun.append(step)
        rows = 4 * (1 + (step >= 2) + (step >= 5))
        if rows == len(self.table):
            return False
        self.table = nn.Parameter(nn.functional.interpolate(self.table.detach()[None, None], rows)[0, 0])
        return True

    def training_step(self, batch, step):
        noise = torch.as_tensor(step.rng(1).normal(size=len(self.table)), dtype=torch.float32)
        total = (self.table * noise).sin().square().sum()
        return SimpleNamespace(total=total, terms={})


class GrowingConfig(R2N2Config):
    def build(self, scale):
        return ToyGrowing()

    def start(self, trainer, opened):
        with torch.no_grad():
            trainer.model.table += len(opened)


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_network_that_grows_resumes_at_any_step(run, sources, tmp_path, stop):
    """Also right before and right after its parameters are replaced, which get new optimizers."""
    run = replace(run, model=GrowingConfig()).variant("", clip=float("inf"))
    whole = train(run, tmp_path / "whole", sources, num_workers=0)
    assert whole.model.begun == list(range(8)) and len(whole.model.table) == 12
    trainer, data = Trainer(run, tmp_path / "stopped", ProcessGroup.init("cpu")), batches(run, sources)
    assert not trainer.start()
    run.model.start(trainer, sources)
    for number in range(stop):
        trainer.record(trainer.advance(data[number]), 25)
    trainer.save()
    resumed = train(run, tmp_path / "stopped", sources, num_workers=0)
    assert torch.equal(resumed.model.table, whole.model.table)
    state, other = resumed.optimizers[""].state_dict()["state"], whole.optimizers[""].state_dict()["state"]
    assert all(torch.equal(state[0][name], other[0][name]) for name in state[0])


def test_what_a_training_starts_from_is_brought_about_once(run, sources, tmp_path):
    run = replace(run, model=GrowingConfig()).variant("", learning_rate=0.0)
    trained = train(run, tmp_path, sources, num_workers=0)
    assert trained.model.table.mean().item() == pytest.approx(len(sources))
    assert train(run, tmp_path, sources, num_workers=0).model.table.mean().item() == pytest.approx(len(sources))
