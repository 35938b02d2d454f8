"""Eq. 13: values, expectation, gradient, and where the randomness comes from."""

import pytest
import torch

from compress3d.layers.binarizer import Binarizer, binarize


@pytest.mark.parametrize("value", [-1.0, -0.6, 0.0, 0.25, 1.0])
def test_stochastic_bits_have_the_mean_of_eq_13(value):
    n = 40_000
    bits = binarize(torch.full((n,), value), stochastic=True, generator=torch.Generator().manual_seed(3))
    assert set(bits.tolist()) <= {-1.0, 1.0}
    # E[b] = x, Var[b] = 1 - x^2: five standard errors
    assert abs(bits.mean().item() - value) <= 5 * ((1 - value**2) / n) ** 0.5


def test_deterministic_bits_are_signs_and_zero_is_plus_one():
    x = torch.tensor([-1.0, -1e-9, 0.0, 1e-9, 1.0])
    assert binarize(x, stochastic=False).tolist() == [-1, -1, 1, 1, 1]


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize("shape", [(1,), (3, 4), (2, 3, 5, 5)])
def test_gradient_passes_unchanged(stochastic, shape):
    x = (torch.rand(shape) * 2 - 1).requires_grad_()
    probe = torch.randn(shape)
    (binarize(x, stochastic) * probe).sum().backward()
    assert torch.equal(x.grad, probe)


def test_module_draws_in_training_only_and_from_its_generator():
    module, x = Binarizer(), torch.zeros(1000)
    module.generator = torch.Generator().manual_seed(5)
    first = module(x)
    module.generator.manual_seed(5)
    assert torch.equal(module(x), first)
    assert not torch.equal(module(x), first)
    assert torch.equal(module.eval()(x), torch.ones(1000))
    assert not list(module.parameters())
