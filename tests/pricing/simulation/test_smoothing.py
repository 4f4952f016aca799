from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.simulation.smoothing import (
    BIAS,
    hermite,
    ramp,
    relative_gamma_bias,
    stated_bias,
    unit_ramp,
    value_bias,
    width_ratio,
)
from pricing.specs.estimator import Conditional, Kernel, Pathwise, Smoothed
from pricing.specs.european import WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.process import BlackScholes
from tests.pricing.cases import problem_of

KERNELS: tuple[Kernel, ...] = get_args(Kernel)


def derivatives(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = f(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    return y.detach(), slope.detach(), bend


def expected(f: Tensor, d: Tensor) -> float:
    """E[f(z)] against the normal density by the trapezium rule, which converges exponentially here."""
    return float((f * torch.exp(-0.5 * d * d)).sum() * (d[1] - d[0]) / math.sqrt(2.0 * math.pi))


@pytest.fixture
def grid() -> Tensor:
    return torch.linspace(-40.0, 40.0, 160_001, dtype=torch.float64)


@pytest.mark.parametrize("kernel", KERNELS)
def test_autograd_agrees_with_differences(kernel: Kernel) -> None:
    u = torch.linspace(-6.0, 6.0, 25, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: unit_ramp(kernel, x), (u,))
    assert torch.autograd.gradgradcheck(lambda x: unit_ramp(kernel, x), (u,))


@pytest.mark.parametrize("kernel", KERNELS)
def test_odd_part_is_linear(kernel: Kernel, grid: Tensor) -> None:
    """p(u) - p(-u) = u: smoothing keeps put-call parity on every path."""
    torch.testing.assert_close(unit_ramp(kernel, grid) - unit_ramp(kernel, -grid), grid, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_moments_of_the_kernel(kernel: Kernel, grid: Tensor) -> None:
    """Mass 1, no moment below the order, and c times k! at the order k."""
    order, coefficient = BIAS[kernel]
    _, _, density = derivatives(lambda x: unit_ramp(kernel, x), grid)
    for k in range(order + 1):
        moment = float((density * grid**k).sum() * (grid[1] - grid[0]))
        exact = {0: 1.0, order: coefficient * math.factorial(order)}.get(k, 0.0)
        assert moment == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("far", [50.0, 1e3, 1e4])
def test_stable_far_out(kernel: Kernel, far: float) -> None:
    value, slope, bend = derivatives(lambda x: unit_ramp(kernel, x), torch.tensor([-far, far], dtype=torch.float64))
    assert value.tolist() == pytest.approx([0.0, far], abs=1e-18)
    assert slope.tolist() == pytest.approx([0.0, 1.0], abs=1e-18)
    assert bend.tolist() == pytest.approx([0.0, 0.0], abs=1e-18)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [0.0, 0.6, -1.4])
def test_bias_of_value_and_gamma(kernel: Kernel, d: float, grid: Tensor) -> None:
    """Against the exact expectation, to leading order: the rest falls by the next even power of the width."""
    z = grid / 4.0
    density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
    order, _ = BIAS[kernel]

    def biases(ratio: float) -> tuple[float, float]:
        value, _, bend = derivatives(lambda m: ramp(kernel, m, width=ratio), d + z)
        exact = d * 0.5 * math.erfc(-d / math.sqrt(2.0)) + density
        return expected(value, z) - exact, expected(bend, z) / density - 1.0

    for stated, column in ((value_bias, 0), (relative_gamma_bias, 1)):
        wide, narrow = biases(0.06)[column], biases(0.03)[column]
        assert narrow == pytest.approx(stated(kernel, 0.03, d), rel=0.03)
        assert math.log2(wide / narrow) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("budget", [1e-5, 1e-3])
def test_width_rule_spends_the_budget(kernel: Kernel, budget: float) -> None:
    assert abs(relative_gamma_bias(kernel, width_ratio(kernel, budget), 0.0)) == pytest.approx(budget, rel=1e-12)


def test_average_is_wider_at_the_same_bias() -> None:
    assert width_ratio("average", 1e-3) / width_ratio("silu", 1e-3) == pytest.approx(4.7, abs=0.05)


def test_scaling_and_the_limit_of_no_width() -> None:
    x = torch.linspace(-1.0, 1.0, 11, dtype=torch.float64)
    for kernel in KERNELS:
        torch.testing.assert_close(ramp(kernel, 3.0 * x, width=0.6), 3.0 * ramp(kernel, x, width=0.2))
        assert torch.equal(ramp(kernel, x, width=0.0), torch.relu(x))
        torch.testing.assert_close(ramp(kernel, x, width=1e-9), torch.relu(x), rtol=0, atol=1e-9)


def test_hermite_polynomials() -> None:
    d = 1.7
    np.testing.assert_allclose(
        [hermite(order, d) for order in (0, 2, 4)], [1.0, d**2 - 1.0, d**4 - 6.0 * d**2 + 3.0], rtol=1e-14
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_automatic_width_spends_the_whole_budget(kernel: Kernel) -> None:
    bias = stated_bias(Smoothed(kernel=kernel, gamma_bias=1e-3))
    assert abs(bias["relative_gamma"]) == pytest.approx(1e-3)
    assert stated_bias(Smoothed(kernel=kernel, width=bias["width"])) == pytest.approx(bias)


def test_unbiased_estimators_state_no_bias() -> None:
    for estimator in (Pathwise(), Conditional()):
        assert set(stated_bias(estimator).values()) == {0.0}


def test_ranked_assets_of_unlike_volatility_keep_the_stated_bias() -> None:
    """A tie as wide as a share of the volatile asset would be wide for the still one: 13 % of its gamma at 1e-3."""
    unlike = BlackScholes(volatilities=(0.5, 0.08), correlation=((1.0, 0.4), (0.4, 1.0)))
    problem = problem_of(unlike, WorstOf(initial=(1.0, 1.0), strike=0.95, side="put"), spots=(0.5, 1.5))
    spec = LabelSpec(estimator=Smoothed(gamma_bias=1e-3), paths=8192, replicates=4, directions=2)
    labels = make_labels(problem, torch.tensor([[1.0, 0.95]], dtype=torch.float64), spec, seed=5)
    assert labels.curvature is not None
    assert labels.directions is not None
    right = labels.directions.numpy() @ reference(problem, labels.features.numpy()).hessian
    assert np.abs(labels.curvature.numpy() - right).max() < 2e-3 * np.abs(right).max()
