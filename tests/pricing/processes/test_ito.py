"""Coefficients of a user's own against the laws that are known: Bachelier, Black-Scholes, Ornstein-Uhlenbeck, CEV."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from scipy.stats import ncx2, norm
from torch import Tensor

from pricing.draws import stream
from pricing.errors import NonFiniteLabels
from pricing.labels import Labels, make_labels
from pricing.processes.simulate import blocks, simulate
from pricing.references.reference import reference
from pricing.simulation.scenario import scenario, times
from pricing.specs.draws import Draws
from pricing.specs.estimator import Smoothed
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import unlike
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.schedule import Piece
from tests.pricing.cases import ASIAN, CALL, PAIR, asked, doubles, feature, normals, problem_of

SPOTS = (85.0, 100.0, 115.0)
RATE, SIGMA, KAPPA, THETA = 0.03, 0.2, 1.2, 105.0
# Standard errors of labels on eight replicates that are as rare as four known ones.
ERRORS = 6.0
MANY = LabelSpec(paths=1 << 12, replicates=8, direction_law="random")


def written(drift: str, diffusion: str, **others: Any) -> ItoDiffusion:
    return ItoDiffusion(drifts=(drift,), diffusions=(diffusion,), correlation=((1.0,),), **others)


def labels(process: Process, spec: LabelSpec = MANY) -> Labels:
    return make_labels(problem_of(process, CALL), doubles(SPOTS)[:, None], spec, seed=3)


def check(made: Labels, value: object, delta: object, gamma: object, *, biases: tuple[float, float, float]) -> None:
    """Labels within their errors and the stated bias of the steps, in units of the largest."""
    bend, along = asked(made.curvature)[:, 0, 0], asked(made.directions)[:, 0, 0]
    found = (made.value, asked(made.gradient)[:, 0], bend / along)
    errors = (made.value_error, asked(made.gradient_error)[:, 0], asked(made.curvature_error)[:, 0, 0] / along)
    for got, error, right, bias in zip(found, errors, (value, delta, gamma), biases, strict=True):
        expected = np.asarray(right)
        missed = np.abs(got.numpy() - expected)
        assert (missed <= ERRORS * np.abs(asked(error).numpy()) + bias * np.abs(expected).max()).all()


def terminal(process: ItoDiffusion, z: Tensor, spot: float = 100.0) -> Tensor:
    """Levels at maturity. Shape: z 1 path dimension -> path."""
    problem = problem_of(process, CALL)
    at = scenario(problem, doubles([[spot]]))
    return simulate(process, at, z, times(problem, at)).levels()[0, :, 0]


@pytest.mark.parametrize("scheme", ["euler", "milstein"])
def test_without_a_drift_and_with_a_constant_it_is_bachelier(scheme: Literal["euler", "milstein"]) -> None:
    """Step by step, to rounding."""
    steps = 4
    problem = problem_of(written("0", "sigma", constants={"sigma": 20.0}, steps=steps, scheme=scheme), CALL)
    z = normals(steps, paths=64)
    at = scenario(problem, doubles([[100.0]]))
    exact = 100.0 + 20.0 * z[0].sum(dim=1) / math.sqrt(steps)
    got = simulate(problem.process, at, z, times(problem, at)).levels()[0, :, 0]
    torch.testing.assert_close(got, exact, rtol=1e-13, atol=0.0)
    right = reference(
        problem_of(Bachelier(volatilities=(20.0,), correlation=((1.0,),)), CALL), doubles([[100.0]]).numpy()
    )
    made = make_labels(problem, doubles([[100.0]]), MANY, seed=1)
    check(made, right.value, right.gradient[:, 0], right.hessian[:, 0, 0], biases=(1e-5, 1e-5, 1e-5))


def test_proportional_coefficients_converge_to_black_scholes() -> None:
    process = written("r * S", "sigma * S", constants={"sigma": SIGMA}, rate=RATE, steps=64)
    exact = BlackScholes(volatilities=(SIGMA,), correlation=((1.0,),), rate=RATE)
    right = reference(problem_of(exact, CALL), doubles(SPOTS)[:, None].numpy())
    check(labels(process), right.value, right.gradient[:, 0], right.hessian[:, 0, 0], biases=(5e-4, 1e-3, 2e-3))


def coupled(scheme: Literal["euler", "milstein"], steps: int) -> float:
    """Root mean square distance from the exact solution on the same Brownian paths."""
    z = torch.from_numpy(stream("coupled", seed=1).standard_normal((1, 1 << 13, 1, steps)))
    driven = z.sum(dim=-1)[0, :, 0] / math.sqrt(steps)
    drift, sigma = 0.1, 0.5
    exact = 100.0 * torch.exp(drift - 0.5 * sigma**2 + sigma * driven)
    process = written("0.1 * S", "0.5 * S", scheme=scheme, steps=steps)
    ordered = torch.cat([z[..., -1:], z[..., :-1]], dim=-1).flatten(2)  # the last step's first
    return float((terminal(process, ordered) - exact).square().mean().sqrt())


@pytest.mark.parametrize(("scheme", "order"), [("euler", 0.5), ("milstein", 1.0)])
def test_strong_orders(scheme: Literal["euler", "milstein"], order: float) -> None:
    """Paths on the same Brownian motion come closer to the exact solution at the stated rate."""
    errors = [coupled(scheme, steps) for steps in (16, 64, 256)]
    slopes = [math.log(a / b) / math.log(4.0) for a, b in pairwise(errors)]
    assert all(abs(slope - order) < 0.15 for slope in slopes), slopes


@pytest.mark.parametrize("scheme", ["euler", "milstein"])
def test_the_weak_order_is_one(scheme: Literal["euler", "milstein"]) -> None:
    """The error of the mean of S^2 halves with the step; that of a call changes its sign on the way."""
    exact, errors = 1e4 * math.exp(2.0 * 0.1 + 0.4**2), []
    for steps in (4, 8, 16):
        process = written("r * S", "0.4 * S", rate=0.1, scheme=scheme, steps=steps)
        errors.append(float(terminal(process, normals(steps, paths=1 << 17)).square().mean()) - exact)
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(1.6 < ratio < 2.6 for ratio in ratios), (errors, ratios)


@pytest.mark.slow
def test_a_mean_reverting_level_has_the_law_of_ornstein_and_uhlenbeck() -> None:
    constants = {"kappa": KAPPA, "theta": THETA, "sigma": 20.0}
    made = labels(written("kappa * (theta - S)", "sigma", constants=constants, rate=RATE, steps=128))
    decay, paid = math.exp(-KAPPA), math.exp(-RATE)
    mean = THETA + (np.array(SPOTS) - THETA) * decay
    deviation = 20.0 * math.sqrt((1.0 - decay**2) / (2.0 * KAPPA))
    d = (mean - 100.0) / deviation
    value = paid * ((mean - 100.0) * norm.cdf(d) + deviation * norm.pdf(d))
    gamma = paid * decay**2 * norm.pdf(d) / deviation
    check(made, value, paid * decay * norm.cdf(d), gamma, biases=(5e-3, 1e-2, 2e-2))


def cev(spot: float, beta: float, sigma: float) -> float:
    """The call on dS = r S dt + sigma S^beta dW, beta < 1, absorbed at 0 (Schroder 1989), strike 100, a year."""
    power = 2.0 * (1.0 - beta)
    k = 2.0 * RATE / (sigma**2 * power * (math.exp(RATE * power) - 1.0))
    x, y = k * spot**power * math.exp(RATE * power), k * 100.0**power
    nu = 1.0 / (1.0 - beta)
    above = ncx2.sf(2.0 * y, 2.0 + nu, 2.0 * x)
    return float(spot * above - 100.0 * math.exp(-RATE) * ncx2.cdf(2.0 * x, nu, 2.0 * y))


@pytest.mark.slow
def test_constant_elasticity_has_the_law_of_a_noncentral_chi_square() -> None:
    beta, sigma, step = 0.5, 2.0, 0.05
    constants = {"beta": beta, "sigma": sigma}
    made = labels(written("r * S", "sigma * S^beta", constants=constants, rate=RATE, steps=64))
    values = np.array([[cev(spot + move, beta, sigma) for spot in SPOTS] for move in (-step, 0.0, step)])
    delta, gamma = (values[2] - values[0]) / (2.0 * step), (values[2] - 2.0 * values[1] + values[0]) / step**2
    check(made, values[1], delta, gamma, biases=(1e-3, 1e-3, 5e-3))


def test_constants_rate_and_maturity_have_their_derivatives() -> None:
    """Those of Black and Scholes."""
    process = written("r * S", "sigma * S", constants={"sigma": SIGMA}, rate=RATE, steps=64)
    others = (feature("constant", 0.1, 0.3), feature("rate", 0.0, 0.1), feature("maturity", 0.5, 1.5))
    exact = BlackScholes(volatilities=(SIGMA,), correlation=((1.0,),), rate=RATE)
    x = doubles([[100.0, SIGMA, RATE, 1.0]])
    right = reference(
        problem_of(exact, CALL, feature("volatility", 0.1, 0.3), *others[1:]), x.numpy(), order=1
    ).gradient[0]
    spec = LabelSpec(paths=1 << 14, replicates=8, order=1)
    got = asked(make_labels(problem_of(process, CALL, *others), x, spec, seed=1).gradient)[0].numpy()
    np.testing.assert_allclose(got, right, rtol=5e-3)


def test_pieces_scale_the_noise_and_name_the_rate() -> None:
    """Both begin in the middle of the life, at a step's end; `r` is the rate there."""
    pieces = {"rate_pieces": (Piece(start=0.5, value=0.09),), "volatility_pieces": (Piece(start=0.5, value=2.0),)}
    problem = problem_of(written("r * S", "sigma", constants={"sigma": 20.0}, rate=RATE, steps=2, **pieces), CALL)
    at = scenario(problem, doubles([[100.0]]))
    z = doubles([[[0.3, -0.4]]])
    got = simulate(problem.process, at, z, times(problem, at))
    spread = [20.0 * math.sqrt(0.5 * math.expm1(rate) / rate) for rate in (RATE, 0.09)]
    first = 100.0 * math.exp(0.5 * RATE) + spread[0] * -0.4
    second = first * math.exp(0.5 * 0.09) + 2.0 * spread[1] * 0.3
    assert float(got.levels()[0, 0, 0]) == pytest.approx(second, rel=1e-14)
    assert float(got.discount[0, 0, -1]) == pytest.approx(math.exp(-0.5 * (RATE + 0.09)), rel=1e-14)


def test_assets_see_their_own_level_and_share_what_they_share() -> None:
    """Three assets of which two are alike move as each would alone with its own driver."""
    three = ItoDiffusion(
        drifts=("0", "1", "0"),
        diffusions=("0.2 * S", "30", "0.2 * S"),
        correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        steps=3,
    )
    problem = problem_of(three, replace(CALL, weights=(1.0, 1.0, 1.0)))
    z = normals(9, paths=8)
    at = scenario(problem, doubles([[90.0, 100.0, 110.0]]))
    together = simulate(three, at, z, times(problem, at)).levels()[0]
    for i, spot in enumerate((90.0, 100.0, 110.0)):
        alone = written(three.drifts[i], three.diffusions[i], steps=3)
        torch.testing.assert_close(together[:, i], terminal(alone, z[..., i::3], spot), rtol=1e-14, atol=0.0)


def test_a_negative_diffusion_turns_its_driver() -> None:
    z = normals(8, paths=16)
    plain, turned = written("0", "0.2 * S", steps=8), written("0", "-0.2 * S", steps=8)
    torch.testing.assert_close(terminal(turned, z), terminal(plain, -z), rtol=1e-14, atol=0.0)


@pytest.mark.parametrize(
    ("drift", "diffusion", "message"),
    [
        ("0", "40 * sqrt(S)", r"process.diffusions\[0\] = '40 \* sqrt\(S\)' is nan at S = -"),
        ("-100 * log(S)", "60", r"process.drifts\[0\] = '-100 \* log\(S\)' is nan at S = -"),
        ("S^9", "10", r"a path: (a level overflows|process.drifts\[0\] = 'S\^9' is inf) at S = "),
    ],
)
def test_a_path_on_which_a_coefficient_is_not_finite_fails_by_a_sentence(
    drift: str, diffusion: str, message: str
) -> None:
    with pytest.raises(NonFiniteLabels, match=message):
        labels(written(drift, diffusion, steps=8))


def test_a_root_that_rests_at_its_floor_has_deltas() -> None:
    """Levels fall below 0, and neither values nor deltas are spoilt."""
    process = written("0", "sigma * sqrt(max(S, 0))", constants={"sigma": 6.0}, steps=32)
    problem = problem_of(process, CALL, spots=(20.0, 150.0))
    assert float(terminal(process, normals(32, paths=1 << 10), 25.0).min()) < 0.0
    made = make_labels(problem, doubles([[25.0]]), LabelSpec(paths=1 << 12, order=1), seed=1)
    assert 0.0 < float(asked(made.gradient)) < 1.0


def test_at_no_maturity_the_payoff_is_left() -> None:
    problem = problem_of(written("0", "0.2 * S"), CALL, feature("maturity", 0.0, 1.0))
    made = make_labels(problem, doubles([[110.0, 0.0], [90.0, 0.0]]), LabelSpec(paths=64, order=1), seed=1)
    assert made.value.tolist() == pytest.approx([10.0, 0.0], abs=1e-9)
    assert asked(made.gradient)[:, 0].tolist() == pytest.approx([1.0, 0.0], abs=1e-9)
    assert bool(torch.isfinite(asked(made.gradient)).all())


def test_dated_payoffs_of_several_assets_are_labelled() -> None:
    """Smoothed and rotated, on two correlated assets."""
    process = ItoDiffusion(drifts=("r * S", "0"), diffusions=("0.2 * S", "20"), correlation=PAIR, steps=4, rate=RATE)
    problem = problem_of(process, replace(ASIAN, weights=(0.5, 0.5)))
    assert sum(blocks(process, 2)) == 8
    spec = LabelSpec(paths=256, estimator=Smoothed(), draws=Draws(pilot=16), direction_law="random")
    made = make_labels(problem, doubles([[100.0, 100.0]]), spec, seed=1)
    assert float(made.value) > 0.0


def test_steps_and_scheme_are_no_part_of_what_is_priced() -> None:
    one = problem_of(written("0", "k * S", constants={"k": 0.2}), CALL)
    finer = problem_of(written("0", "k * S", constants={"k": 0.2}, steps=8, scheme="euler"), CALL)
    other = problem_of(written("0", "k * S", constants={"k": 0.3}), CALL)
    assert unlike(one, finer) is None
    assert unlike(one, other) == "problem.process.constants.k"
