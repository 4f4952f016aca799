"""Steps drawn beyond a barrier: the reflection principle, quadrature over the open normal, in and out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from scipy.special import ndtr
from torch import Tensor

from pricing.estimators.barrier import Open, drawn, ended, expected, paid, split, survived, unconditional, vanilla
from pricing.estimators.steps import Steps, steps
from pricing.references.reference import reference
from pricing.simulation.scenario import Scenario, scenario, times
from pricing.specs.payoff import Barrier
from pricing.specs.process import BlackScholes, Process
from tests.pricing.cases import CARRYING, CONTINUOUS, DATED, GAUSSIAN, doubles, feature, normals, problem_of

UP = replace(CONTINUOUS, direction="up", barrier=115.0)
KINDS = [replace(payoff, side=side) for payoff in (CONTINUOUS, UP) for side in ("call", "put")]
LEVELS = replace(GAUSSIAN, rate=0.03, convention="carry")


def walk(payoff: Barrier, process: Process = CARRYING, *, paths: int = 1) -> tuple[Steps, Scenario]:
    """Two samples, and the steps to the payoff's dates."""
    problem = problem_of(process, payoff)
    at = scenario(problem, doubles([[100.0], [93.0]]))
    return steps(problem.process, at, normals(len(payoff.facts.dates), paths=paths), times(problem, at)), at


@pytest.mark.parametrize(("distance", "variance"), [(0.3, 0.04), (1.0, 0.04), (0.01, 1.0)])
def test_a_bridge_stays_clear_as_the_reflection_principle_says(distance: float, variance: float) -> None:
    """E[survived at the normal end; it is clear] = 2 N(a / s) - 1, the law of the running minimum."""
    s = math.sqrt(variance)
    ends = distance + s * torch.linspace(-12.0, 12.0, 200_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((ends - distance) / s).square()) / (math.sqrt(2.0 * math.pi) * s) * (ends[1] - ends[0])
    stays = survived(torch.full_like(ends, distance), ends, torch.full_like(ends, variance))
    assert float((stays * weight).sum()) == pytest.approx(2.0 * ndtr(distance / s) - 1.0, abs=1e-8)


def test_a_certain_bridge_stays_clear_where_both_its_ends_do() -> None:
    before, after = doubles([0.1, 0.1, -0.1, 0.0]), doubles([0.2, -0.2, 0.2, 0.2])
    assert survived(before, after, torch.zeros(4, dtype=torch.float64)).tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("process", [CARRYING, LEVELS])
@pytest.mark.parametrize("payoff", KINDS)
def test_the_last_step_is_the_integral_over_its_normal(payoff: Barrier, process: Process) -> None:
    """Cash beyond the strike and the barrier, weighted by the bridge that leads there."""
    path, at = walk(payoff, process)
    y = torch.zeros(2, 1, 1, dtype=torch.float64)
    t = torch.linspace(-12.0, 12.0, 400_001, dtype=torch.float64)[None, :, None]
    end = path.rest(y, 0) + path.along[:, :, 0] * t
    level, clear = path.level(end, 1), 1.0 if payoff.direction == "down" else -1.0
    cash = torch.relu((level - 100.0) * (1.0 if payoff.side == "call" else -1.0))
    gaps = [clear * (place - path.edge(at["barrier"], date)) for place, date in ((y.expand_as(end), 0), (end, 1))]
    alive = (gaps[1] > 0.0) * survived(gaps[0], gaps[1], path.along[:, :, 0].square())
    weight = torch.exp(-0.5 * t.square()) / math.sqrt(2.0 * math.pi) * (t[0, 1] - t[0, 0])
    # Without a bridge the integrand jumps by up to 15, of which the sum misses up to half a cell.
    for bridged, integrand, missed in ((True, cash * alive, 1e-8), (False, cash * (gaps[1] > 0.0), 2e-4)):
        dated = payoff if bridged else replace(payoff, dates=(1.0,))
        value = ended(dated, path, at, y, bridged=bridged)[0][:, 0, 0]
        torch.testing.assert_close(value, (integrand * weight).sum(dim=(1, 2)), rtol=1e-6, atol=missed)


def test_without_a_barrier_a_step_is_blacks_formula() -> None:
    path, at = walk(replace(CONTINUOUS, strike=95.0))
    value = unconditional(CONTINUOUS, path, at, path.drift[:, :, 0], path.along[:, :, 0])[:, 0, 0]
    forward = np.array([100.0, 93.0]) * math.exp(0.02)
    d = np.log(forward / 95.0) / 0.25 + 0.125
    np.testing.assert_allclose(value, forward * ndtr(d) - 95.0 * ndtr(d - 0.25), rtol=1e-13)


@pytest.mark.parametrize("payoff", [CONTINUOUS, UP, replace(CONTINUOUS, dates=(1.0,))])
def test_in_and_out_are_the_vanilla_option_on_every_path_of_one_step(payoff: Barrier) -> None:
    path, at = walk(payoff, paths=32)
    bridged = not payoff.dates
    out, inside = (expected(replace(payoff, knock=knock), path, at, bridged=bridged) for knock in ("out", "in"))
    torch.testing.assert_close(out + inside, vanilla(payoff, path, at).expand_as(out), rtol=1e-13, atol=1e-12)
    assert bool((out >= -1e-12).all())


@pytest.mark.parametrize("bridged", [False, True])
def test_what_a_touch_begins_and_ends_is_the_vanilla_option_on_average(bridged: bool) -> None:
    payoff = replace(DATED, knock="in")
    path, at = walk(payoff, paths=1 << 14)
    out, touched = split(payoff, path, at, bridged=bridged)
    excess = out + touched - vanilla(payoff, path, at)
    assert bool((touched > 0.0).all())
    assert bool((excess.mean(dim=1).abs() < 4.0 * excess.std(dim=1) / 128.0).all())


def test_a_touch_far_away_is_labelled_by_itself() -> None:
    """Far less than the noise of what is left: a path that meets the barrier is drawn and weighted."""
    payoff = Barrier(strike=120.0, barrier=40.0, direction="down", knock="in", dates=(0.25, 0.5, 0.75, 1.0))
    path, at = walk(payoff, paths=1 << 12)
    inside = expected(payoff, path, at, bridged=False)
    assert bool((inside.mean(dim=1) > 0.0).all())
    assert bool((inside.std(dim=1) < 1e-3 * vanilla(payoff, path, at).mean(dim=1)).all())


def test_an_images_weight_that_overflows_leaves_a_probability() -> None:
    """Volatility 0.1 %, drift 50 deviations to a barrier 49 away: the weight is e^4800 and its mass underflows."""
    process = BlackScholes(volatilities=(0.001,), correlation=((1.0,),), rate=0.05)
    problem = problem_of(process, Barrier(strike=90.0, barrier=105.0, direction="up", knock="out"))
    at = scenario(problem, doubles([[100.0], [99.9]]))
    path = steps(process, at, normals(1, paths=1), times(problem, at))
    exact = reference(problem, np.array([[100.0], [99.9]]), order=0).value
    assert isinstance(problem.payoff, Barrier)
    np.testing.assert_allclose(expected(problem.payoff, path, at, bridged=True)[:, 0], exact, rtol=1e-9)


@pytest.mark.parametrize("direction", ["down", "up"])
def test_draws_lie_beyond_the_barrier_and_have_its_chance(direction: Any) -> None:
    far, edge = doubles([[[1e3]]]), doubles([[[-0.4]]])
    zero, one = torch.zeros_like(edge), torch.ones_like(edge)
    low, high = (edge, far) if direction == "down" else (-far, edge)
    uniforms = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)[None, :, None]
    t, chance = drawn(replace(UP, direction=direction), uniforms, Open(rest=zero, along=one, low=low, high=high))
    assert bool(((t > edge) if direction == "down" else (t < edge)).all())
    assert float(chance.flatten()[0]) == pytest.approx(float(ndtr(0.4 if direction == "down" else -0.4)), rel=1e-14)


def test_an_empty_interval_pays_nothing() -> None:
    path, at = walk(CONTINUOUS)
    end = doubles([[[0.3]]])
    step = Open(rest=path.drift[:, :, 0], along=path.along[:, :, 0], low=end, high=end)
    assert not paid(CONTINUOUS, path, at, step).any()


@pytest.mark.parametrize("payoff", [DATED, UP])
def test_every_path_is_differentiable_in_barrier_strike_and_spot(payoff: Barrier) -> None:
    problem = problem_of(CARRYING, payoff, feature("barrier", 80.0, 120.0), feature("strike", 90.0, 110.0))
    draws = normals(len(payoff.facts.dates), paths=4)

    def cash(x: Tensor) -> Tensor:
        at = scenario(problem, x)
        path = steps(problem.process, at, draws, times(problem, at))
        return expected(payoff, path, at, bridged=not payoff.dates)

    x = doubles([[100.0, payoff.barrier, 100.0]]).requires_grad_()
    assert torch.autograd.gradcheck(cash, (x,), rtol=1e-5, atol=1e-6)
    assert torch.autograd.gradgradcheck(cash, (x,), rtol=1e-4, atol=1e-5)
