from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from surrogate.functions.activations import ACTIVATIONS, ActivationName

SMOOTH: list[ActivationName] = ["silu", "softplus", "tanh"]


@pytest.mark.parametrize("name", SMOOTH)
def test_each_derivative_is_the_derivative_of_the_one_before(name: ActivationName) -> None:
    a = torch.linspace(-12.0, 12.0, 241, dtype=torch.float64, requires_grad=True)
    orders = ACTIVATIONS[name](a)
    for lower, higher in pairwise(orders):
        (slope,) = torch.autograd.grad(lower.sum(), a, retain_graph=True)
        torch.testing.assert_close(slope, higher, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SMOOTH)
def test_finite_far_out(name: ActivationName) -> None:
    for order in ACTIVATIONS[name](torch.tensor([-1e4, -800.0, 0.0, 800.0, 1e4], dtype=torch.float64)):
        assert torch.isfinite(order).all()


def test_softplus_matches_torch() -> None:
    a = torch.linspace(-30.0, 30.0, 61, dtype=torch.float64)
    torch.testing.assert_close(
        ACTIVATIONS["softplus"](a)[0], torch.logaddexp(a, torch.zeros_like(a)), rtol=1e-14, atol=0
    )


def test_relu_slope_is_a_step() -> None:
    phi, slope, bend, _ = ACTIVATIONS["relu"](torch.tensor([-1.0, 2.0]))
    assert phi.tolist() == [0.0, 2.0]
    assert slope.tolist() == [0.0, 1.0]
    assert bend.tolist() == [0.0, 0.0]
