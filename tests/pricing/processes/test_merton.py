"""Merton's jump diffusion: its law, its Poisson counts, and derivatives by what the counts depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import poisson as exact
from torch import Tensor

from pricing.domain import Feature
from pricing.draws import stream, to_normals, uniforms
from pricing.errors import InvalidSpec
from pricing.labels import make_labels
from pricing.processes.merton import blocks, likelihood, poisson
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Merton

PROCESS = Merton(
    volatilities=(0.2, 0.3),
    jump_intensities=(1.0, 0.5),
    jump_means=(-0.1, 0.05),
    jump_deviations=(0.15, 0.2),
    correlation=((1.0, 0.5), (0.5, 1.0)),
    rate=0.03,
    dividend_yields=(0.01, 0.0),
)
ASIAN = Asian(weights=(0.5, 0.5), strike=100.0, dates=(0.5, 1.0))


def on(*features: Feature) -> PricingProblem:
    spots = Feature(name="spot", lower=(80.0, 80.0), upper=(120.0, 120.0))
    return PricingProblem(process=PROCESS, payoff=ASIAN, maturity=1.0, features=(spots, *features))


def normals(count: int, dimension: int) -> Tensor:
    points = uniforms("sobol", count, dimension, generator=stream("test", seed=1))
    return torch.from_numpy(to_normals(points))[None]


@pytest.mark.parametrize("mean", [0.0, 1e-3, 0.7, 12.0, 900.0])
def test_counts_are_quantiles(mean: float) -> None:
    uniform = torch.linspace(0.001, 0.999, 97, dtype=torch.float64)
    found = poisson(uniform, torch.tensor([mean], dtype=torch.float64))
    np.testing.assert_array_equal(found.numpy(), exact.ppf(uniform.numpy(), mean) if mean else np.zeros(97))


def test_the_discounted_asset_is_a_martingale_with_the_moments_of_the_law() -> None:
    """Mean e^(b t), and of ln S the variance sigma^2 t + lambda t (mu^2 + delta^2), at every date."""
    problem = on()
    at = scenario(problem, torch.tensor([[100.0, 90.0]], dtype=torch.float64))
    paths = simulate(PROCESS, at, normals(1 << 15, sum(blocks(PROCESS, 2))), times(problem, at))
    for date, t in enumerate((0.5, 1.0)):
        levels = paths.levels(date)[0]
        for i in range(2):
            lam, mu, delta = PROCESS.jump_intensities[i], PROCESS.jump_means[i], PROCESS.jump_deviations[i]
            growth = math.exp((0.03 - PROCESS.dividend_yields[i]) * t)
            assert float(levels[:, i].mean()) == pytest.approx(float(at["spot"][0, 0, i]) * growth, rel=2e-3)
            variance = PROCESS.volatilities[i] ** 2 * t + lam * t * (mu**2 + delta**2)
            assert float(torch.log(levels[:, i]).var()) == pytest.approx(variance, rel=2e-2)
    assert bool((paths.discount == paths.discount[:, :1]).all())


def test_the_weight_is_one_with_the_derivatives_of_the_law() -> None:
    """d/dL E[f(N)] = E[f(N + 1) - f(N)], and so on, summed over the law itself instead of paths."""
    mean = torch.tensor([0.8], dtype=torch.float64, requires_grad=True)
    counts = torch.arange(40, dtype=torch.float64)
    chances = torch.from_numpy(exact.pmf(counts.numpy(), 0.8))
    weight = likelihood(counts[None, :, None, None], mean[None, None, :, None])[0, :, 0]
    assert bool((weight == 1.0).all())
    value = (chances * weight * torch.sqrt(counts)).sum()
    (slope,) = torch.autograd.grad(value, mean, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), mean)
    steps = [float((chances * torch.sqrt(counts + k)).sum()) for k in range(3)]
    assert float(slope.detach()) == pytest.approx(steps[1] - steps[0], rel=1e-10)
    assert float(bend.detach()) == pytest.approx(steps[2] - 2.0 * steps[1] + steps[0], rel=1e-9)


def test_labels_by_intensity_and_maturity_are_the_slopes_of_the_values() -> None:
    """Against differences of values on paths of their own, within the errors of both."""
    names = ("maturity", "jump_intensity")
    varying = (
        Feature(name="maturity", lower=(0.5,), upper=(2.0,)),
        Feature(name="jump_intensity", lower=(0.2, 0.2), upper=(2.0, 2.0)),
    )
    problem = on(*varying)
    x = torch.tensor([[100.0, 100.0, 1.0, 1.0, 0.5]], dtype=torch.float64)
    labels = make_labels(problem, x, LabelSpec(samples=1, paths=1 << 12, replicates=8, order=1), seed=3)
    assert labels.gradient is not None
    assert labels.gradient_error is not None
    spec = LabelSpec(samples=8, paths=1 << 14, replicates=8, order=1)
    for name in names:
        column = problem.box.columns(name).start
        step = torch.zeros_like(x)
        step[0, column] = 0.1
        ends = make_labels(problem, torch.cat([x - step, x + step]), spec, seed=4)
        assert ends.value_error is not None
        slope = float(ends.value[1] - ends.value[0]) / 0.2
        error = math.hypot(4.0 * float(labels.gradient_error[0, column]), 4.0 * float(ends.value_error.max()) / 0.2)
        assert abs(float(labels.gradient[0, column]) - slope) < error + 0.02 * abs(slope)


def test_an_intensity_that_varies_stays_above_zero() -> None:
    with pytest.raises(InvalidSpec, match=r"jump_intensity must stay in \[0.01, 100\], got \[0.0, 1.0\]"):
        on(Feature(name="jump_intensity", lower=(0.0, 0.2), upper=(1.0, 1.0)))


def test_without_jumps_it_is_black_scholes() -> None:
    still = Merton(
        volatilities=(0.2,),
        jump_intensities=(0.0,),
        jump_means=(0.0,),
        jump_deviations=(0.0,),
        correlation=((1.0,),),
    )
    features = (Feature(name="spot", lower=(80.0,), upper=(120.0,)),)
    problem = PricingProblem(process=still, payoff=Call(weights=(1.0,), strike=100.0), maturity=1.0, features=features)
    labels = make_labels(
        problem, torch.tensor([[100.0]], dtype=torch.float64), LabelSpec(samples=1, paths=64, replicates=2), seed=1
    )
    assert float(labels.value[0]) == pytest.approx(7.965567455405804, rel=1e-12)
