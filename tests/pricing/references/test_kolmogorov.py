"""The backward equation of user-written coefficients against known laws, and where no grid resolves it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from pricing.labels import make_labels
from pricing.references.methods import RELATIVE_ERRORS
from pricing.references.reference import kind, reference
from pricing.specs.european import Call, Digital, Put
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.schedule import Piece
from tests.pricing.cases import CALL, asked, doubles, feature, problem_of

SPOTS = np.array([[80.0], [95.0], [100.0], [120.0]])
RATE, KAPPA, THETA, SIGMA = 0.03, 1.2, 105.0, 20.0
RATE_PIECES, VOLATILITY_PIECES = (Piece(start=0.4, value=0.06),), (Piece(start=0.6, value=1.5),)
PIECED: dict[str, Any] = {"rate": RATE, "rate_pieces": RATE_PIECES, "volatility_pieces": VOLATILITY_PIECES}
PAYOFFS = [
    CALL,
    Call(weights=(-2.0,), strike=-190.0),
    Put(weights=(1.0,), strike=110.0),
    Digital(weights=(1.0,), strike=100.0, cash=10.0),
    Digital(weights=(2.0,), strike=210.0, side="put"),
    Pieces(weights=(1.0,), knots=(95.0, 110.0), slopes=(0.0, 1.0, 0.0)),
]


def written(drift: str, diffusion: str, **others: Any) -> ItoDiffusion:
    return ItoDiffusion(drifts=(drift,), diffusions=(diffusion,), correlation=((1.0,),), **others)


def compare(mine: PricingProblem, other: PricingProblem) -> None:
    """Value, delta and gamma within what the kind is held to, in units of the largest spot and its inverse."""
    assert kind(mine) == "pde"
    ours, right = reference(mine, SPOTS), reference(other, SPOTS)
    size, allowed = SPOTS.max(), RELATIVE_ERRORS["pde"]
    assert np.abs(ours.value - right.value).max() <= allowed * size
    assert np.abs(ours.gradient - right.gradient).max() <= 5.0 * allowed
    assert np.abs(ours.hessian - right.hessian).max() <= 50.0 * allowed / size


@pytest.mark.parametrize("payoff", PAYOFFS, ids=range(len(PAYOFFS)))
@pytest.mark.parametrize(
    ("process", "known"),
    [
        (written("0", "20"), Bachelier(volatilities=(20.0,), correlation=((1.0,),))),
        (
            written("(r - 0.01) * S", "20", **PIECED),
            Bachelier(
                volatilities=(20.0,), correlation=((1.0,),), convention="carry", dividend_yields=(0.01,), **PIECED
            ),
        ),
        (written("r * S", "-0.2 * S", **PIECED), BlackScholes(volatilities=(0.2,), correlation=((1.0,),), **PIECED)),
    ],
)
def test_it_is_the_closed_form_of_bachelier_and_of_black_and_scholes(
    process: Process, known: Process, payoff: Any
) -> None:
    compare(problem_of(process, payoff, spots=(70.0, 130.0)), problem_of(known, payoff, spots=(70.0, 130.0)))


def test_a_mean_reverting_level_is_gaussian() -> None:
    constants = {"kappa": KAPPA, "theta": THETA, "sigma": SIGMA}
    process = written("kappa * (theta - S)", "sigma", constants=constants, rate=RATE)
    found = reference(problem_of(process, CALL, spots=(70.0, 130.0)), SPOTS)
    decay, paid = math.exp(-KAPPA), math.exp(-RATE)
    mean = THETA + (SPOTS[:, 0] - THETA) * decay
    deviation = SIGMA * math.sqrt((1.0 - decay**2) / (2.0 * KAPPA))
    d = (mean - 100.0) / deviation
    value = paid * ((mean - 100.0) * norm.cdf(d) + deviation * norm.pdf(d))
    np.testing.assert_allclose(found.value, value, atol=1e-4)
    np.testing.assert_allclose(found.gradient[:, 0], paid * decay * norm.cdf(d), atol=5e-6)
    np.testing.assert_allclose(found.hessian[:, 0, 0], paid * decay**2 * norm.pdf(d) / deviation, atol=5e-7)


def test_a_constant_has_its_derivative() -> None:
    """That of Black and Scholes."""
    features = feature("constant", 0.15, 0.25)
    mine = problem_of(written("r * S", "sigma * S", constants={"sigma": 0.2}, rate=RATE), CALL, features)
    known = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=RATE)
    x = np.array([[100.0, 0.2]])
    right = reference(problem_of(known, CALL, feature("volatility", 0.15, 0.25)), x)
    found = reference(mine, x)
    np.testing.assert_allclose(found.gradient, right.gradient, rtol=1e-5)
    np.testing.assert_allclose(found.hessian, right.hessian, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("drift", "diffusion", "order"),
    [
        ("0.3 * (100 - S)", "2 * sqrt(S) * exp(-t)", 2),
        ("r * S", "20 + 5 * tanh((S - 100) / 10)", 2),
        ("0", "max(15, 0.4 * (S - 70))", 1),
        ("min(0, 90 - S)", "min(0.2 * S, 22)", 1),
    ],
)
def test_labels_agree(drift: str, diffusion: str, order: Any) -> None:
    """Within what noise and 64 steps leave."""
    problem = problem_of(written(drift, diffusion, rate=RATE), CALL, spots=(70.0, 130.0))
    assert kind(problem) == "pde"
    spec = LabelSpec(paths=1 << 11, replicates=2, order=order, direction_law="random")
    made, right = make_labels(problem, doubles(SPOTS), spec, seed=1), reference(problem, SPOTS)
    np.testing.assert_allclose(made.value.numpy(), right.value, atol=2e-2)
    np.testing.assert_allclose(asked(made.gradient).numpy(), right.gradient, atol=4e-3)
    if order == 2:
        bend = (asked(made.curvature)[:, 0] / asked(made.directions)[:, 0]).numpy()
        np.testing.assert_allclose(bend, right.hessian[:, 0], atol=4e-4)


@pytest.mark.parametrize(
    ("drift", "diffusion"), [("50 * (100 - S)", "0.01"), ("0", "0.00001 * S + 0.1 * max(S - 110, 0)")]
)
def test_noise_that_no_grid_resolves_is_simulated_again(drift: str, diffusion: str) -> None:
    assert "resimulated" in kind(problem_of(written(drift, diffusion), CALL, spots=(70.0, 130.0)))
