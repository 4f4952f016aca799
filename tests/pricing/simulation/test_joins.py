"""Smooth joins: the logistic weight of two branches, and what every join misses against integrals."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.simulation.joins import MONEYNESSES, STEP_BIAS, join_bias, stated_joins
from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import Smooth, cash
from pricing.simulation.scenario import Scenario
from pricing.simulation.smoothing import ramp, step, unit_step
from pricing.specs.draws import Draws
from pricing.specs.estimator import Kernel, Smoothed
from pricing.specs.european import Call
from pricing.specs.labels import LabelSpec
from pricing.specs.pieces import Pieces
from tests.pricing.cases import GAUSSIAN, problem_of

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
TURN = Pieces(weights=(1.0,), knots=(100.0,), slopes=(-0.5, 2.0), jumps=(7.0,), cash=3.0)


@pytest.fixture
def grid() -> Tensor:
    return torch.linspace(-40.0, 40.0, 160_001, dtype=torch.float64)


def smooth(payoff: Pieces, levels: Tensor, kernel: Kernel, width: float) -> Tensor:
    """Cash over smooth edges of one width. Shape: path -> the same."""
    forward = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    paths = Paths(
        forward=forward,
        noise=levels[None, :, None, None],
        law="additive",
        discount=torch.ones(1, 1, 1, dtype=torch.float64),
    )
    at = Scenario(parameters={"knot": torch.tensor(payoff.knots, dtype=torch.float64)[None, None]})
    widths = iter([torch.tensor([[width]], dtype=torch.float64)] * 2 * len(payoff.knots))
    return cash(payoff, paths, at, Smooth(kernel=kernel, widths=widths))[0]


def test_the_logistic_kernel_is_the_weight_of_two_branches() -> None:
    """(1 - sigma) f + sigma g with sigma = 1 / (1 + exp(-(x - p) / w)), whatever bends and jumps at p."""
    x = torch.linspace(60.0, 140.0, 801, dtype=torch.float64)
    below, above = 3.0 - 0.5 * (x - 100.0), 10.0 + 2.0 * (x - 100.0)
    for width in (0.1, 2.0, 10.0):
        sigma = 1.0 / (1.0 + torch.exp(-(x - 100.0) / width))
        expected = (1.0 - sigma) * below + sigma * above
        torch.testing.assert_close(smooth(TURN, x, "logistic", width), expected, rtol=1e-13, atol=1e-12)


def test_joins_one_after_the_other_are_the_same_where_they_are_far_apart() -> None:
    payoff = Pieces(weights=(1.0,), knots=(90.0, 110.0), slopes=(0.0, 1.0, 0.0))
    x, width = torch.linspace(60.0, 140.0, 801, dtype=torch.float64), 0.5
    first, second = (torch.sigmoid((x - knot) / width) for knot in payoff.knots)
    nested = (1.0 - second) * (first * (x - 90.0)) + second * 20.0
    torch.testing.assert_close(smooth(payoff, x, "logistic", width), nested, rtol=0.0, atol=40.0 * math.exp(-20.0))


@pytest.mark.parametrize("kernel", KERNELS)
def test_moments_of_the_kernel_of_a_step(kernel: Kernel, grid: Tensor) -> None:
    """Mass 1, no moment below the order, and c times k! at the order k."""
    order, coefficient = STEP_BIAS[kernel]
    u = grid.clone().requires_grad_()
    (density,) = torch.autograd.grad(unit_step(kernel, u).sum(), u)
    for k in range(order + 1):
        moment = float((density * grid**k).sum() * (grid[1] - grid[0]))
        exact = {0: 1.0, order: coefficient * math.factorial(order)}.get(k, 0.0)
        assert moment == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("jump", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [-1.5, 0.0, 0.7])
def test_bias_of_a_join_against_its_integral(kernel: Kernel, jump: bool, d: float) -> None:
    """The measured bias is the stated one, of leading order: halving the width divides what is left by more."""
    z = torch.linspace(-12.0, 12.0, 200_001, dtype=torch.float64)
    mass = torch.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    density, total = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi), 0.5 * math.erfc(-d / math.sqrt(2.0))
    exact = (total, density, -d * density) if jump else (d * total + density, total, density)
    relative = []
    for width in (0.1, 0.05):
        level = (d + z).requires_grad_()
        smoothed = step(kernel, level, width=width) if jump else ramp(kernel, level, width=width)
        (slope,) = torch.autograd.grad(smoothed.sum(), level, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), level)
        found = [float(part.detach() @ mass) for part in (smoothed, slope, bend)]
        stated = [float(part) for part in join_bias(kernel, width, np.array(d), jump=jump)]
        missed = [got - right - told for got, right, told in zip(found, exact, stated, strict=True)]
        relative.append(np.abs(missed))
    order = STEP_BIAS[kernel][0]
    assert (relative[1] <= relative[0] * 2.0 ** -(order + 1) + 1e-11).all()


def test_rows_by_knot_say_what_bends_and_what_jumps() -> None:
    payoff = Pieces(weights=(1.0,), knots=(90.0, 100.0, 110.0), slopes=(0.0, 2.0, 2.0, 0.0), jumps=(0.0, 5.0, 1.0))
    kink, jump, both = stated_joins(payoff, Smoothed(kernel="logistic", width=0.1))
    assert set(kink) == {"knot", "width", "value_over_deviation", "relative_gamma"}
    assert set(jump) == {"knot", "width", "value", "relative_delta"}
    assert set(both) == set(kink) | set(jump)
    assert (kink["knot"], kink["width"]) == (90.0, 0.1)
    second = math.pi**2 / 6.0 * 0.01
    assert kink["relative_gamma"] == pytest.approx(second)
    assert jump["relative_delta"] == pytest.approx(-second)
    assert kink["value_over_deviation"] == pytest.approx(2.0 * second / math.sqrt(2.0 * math.pi))
    largest = math.exp(-0.5) / math.sqrt(2.0 * math.pi)  # of |d| n(d), at 1
    assert jump["value"] == pytest.approx(5.0 * second * largest, rel=1e-6)
    assert stated_joins(Call(weights=(1.0,), strike=100.0), Smoothed()) == []
    assert MONEYNESSES[0] == 0.0


@pytest.mark.parametrize("kernel", ["average", "logistic", "silu"])
def test_labels_are_off_by_what_is_stated(kernel: Kernel) -> None:
    """A call spread with a jump, smoothed wide: the bias of values and deltas is the sum of the joins' own."""
    payoff = Pieces(weights=(1.0,), knots=(90.0, 110.0), slopes=(0.0, 1.0, 0.0), jumps=(0.0, 6.0))
    problem, width = problem_of(GAUSSIAN, payoff), 0.08
    spots = torch.tensor([[85.0], [100.0], [118.0]], dtype=torch.float64)
    spec = LabelSpec(
        paths=1 << 14,
        replicates=4,
        order=1,
        estimator=Smoothed(kernel=kernel, width=width),
        draws=Draws(rotation="none"),
    )
    made, exact = make_labels(problem, spots, spec, seed=1), reference(problem, spots.numpy(), order=1)
    assert made.gradient is not None
    s, value, delta = 20.0, np.zeros(3), np.zeros(3)
    for knot, join in zip(payoff.knots, payoff.joins, strict=True):
        d = (spots[:, 0].numpy() - knot) / s
        bend, turn, _ = join_bias(kernel, width, d, jump=False)
        jump, slope, _ = join_bias(kernel, width, d, jump=True)
        value += join.bend * s * bend + join.jump * jump
        delta += join.bend * turn + join.jump / s * slope
    missed = made.value.numpy() - exact.value, made.gradient[:, 0].numpy() - exact.gradient[:, 0]
    order = 2 if kernel != "average" else 4
    for got, told in zip(missed, (value, delta), strict=True):
        np.testing.assert_allclose(got, told, rtol=0.0, atol=(0.15 if order == 2 else 0.3) * np.abs(told).max())
