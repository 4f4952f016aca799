"""Every process with time steps, simulated again where something independent knows better: within what is stated.

Maturities of 0.02 to 20 years, mean reversions of 0.2 to 10, volatilities of variance up to 1. The stated error has
the standard error in it, so that a few of it is the margin of an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pricing.labels import make_labels
from pricing.references import resimulated
from pricing.references.derivatives import Derivatives
from pricing.references.reference import reference
from pricing.specs.european import Digital, Put
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, LocalVolatility, Process
from pricing.time_step_bias import time_step_bias
from pricing.types import Array
from tests.pricing.cases import CALL, ONE, problem_of

RATE = 0.02
# Of the stated errors, at a few points of a few tens of cases.
MARGIN = 4.0
PUT, DIGITAL = Put(weights=(1.0,), strike=100.0), Digital(weights=(1.0,), strike=100.0)
SLOW = pytest.mark.slow
REFERENCES = Callable[[Array], Derivatives]


def heston(kappa: float, xi: float) -> Heston:
    """A variance of 0.04 with that mean reversion and that volatility of its own."""
    return Heston(
        initial_variances=(0.04,),
        mean_reversions=(kappa,),
        long_variances=(0.04,),
        variance_volatilities=(xi,),
        spot_variance_correlations=(-0.7,),
        correlation=ONE,
        rate=RATE,
    )


def flat(sigma: float) -> LocalVolatility:
    """A surface without skew and curvature."""
    return LocalVolatility(
        volatilities=(sigma,),
        skews=(0.0,),
        curvatures=(0.0,),
        powers=(0.5,),
        reference_spots=(100.0,),
        correlation=ONE,
        rate=RATE,
    )


def written(drift: str, diffusion: str) -> ItoDiffusion:
    return ItoDiffusion(drifts=(drift,), diffusions=(diffusion,), correlation=ONE, rate=RATE)


def plain(sigma: float) -> BlackScholes:
    return BlackScholes(volatilities=(sigma,), correlation=ONE, rate=RATE)


def case(process: Process, payoff: Payoff, years: float) -> PricingProblem:
    return problem_of(process, payoff, maturity=years, spots=(20.0, 400.0))


def around(sigma: float, years: float) -> Array:
    """Spots a deviation either side of where the strike is at the money. Shape: -> 3 1."""
    spread: Array = 100.0 * np.exp(-RATE * years + sigma * math.sqrt(years) * np.array([[-1.0], [0.0], [1.0]]))
    return spread.clip(25.0, 390.0)


def require_within(problem: PricingProblem, x: Array, right: Derivatives) -> None:
    """Value, gradient and Hessian within the margin of what is stated, which for the first two is no excuse."""
    means, errors = resimulated.reference(resimulated.method(problem), x, order=2, seed=3)
    for mean, error, exact in zip(means, errors, right, strict=True):
        assert (np.abs(mean - exact) <= MARGIN * error + 1e-9 * np.abs(exact).max()).all()
    for error, exact in list(zip(errors, right, strict=True))[:2]:
        assert (error <= 0.25 * np.abs(exact).max()).all()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and shorter runs: the errors say so."""
    monkeypatch.setattr(resimulated, "BUDGET", 1 << 21)
    monkeypatch.setattr(resimulated, "REPLICATES", 8)


@pytest.mark.parametrize(
    ("years", "kappa", "xi"),
    [
        *((0.02, 0.2, 1.0), (0.02, 10.0, 0.5), (1.0, 0.2, 0.3)),
        *(pytest.param(*long, marks=SLOW) for long in ((1.0, 10.0, 1.0), (5.0, 1.5, 0.5), (20.0, 1.5, 0.5))),
    ],
)
@pytest.mark.parametrize("payoff", [CALL, DIGITAL], ids=["call", "digital"])
def test_heston_against_fourier(payoff: Payoff, years: float, kappa: float, xi: float) -> None:
    problem, x = case(heston(kappa, xi), payoff, years), around(0.2, years)
    right = reference(problem, x)
    assert right.kind == "fourier"
    require_within(problem, x, Derivatives(right.value, right.gradient, right.hessian))


@pytest.mark.parametrize(
    ("process", "sigma", "years"),
    [
        *((flat(sigma), sigma, years) for sigma, years in ((0.4, 0.02), (0.1, 1.0))),
        *((written("r * S", f"{sigma} * S"), sigma, 0.02) for sigma in (0.1, 0.4)),
        *(pytest.param(flat(sigma), sigma, years, marks=SLOW) for sigma, years in ((0.4, 1.0), (0.1, 20.0))),
        *(
            pytest.param(written("r * S", f"{sigma} * S"), sigma, years, marks=SLOW)
            for sigma in (0.1, 0.4)
            for years in (1.0, 20.0)
        ),
    ],
)
def test_constant_volatility_against_black_and_scholes(process: Process, sigma: float, years: float) -> None:
    x = around(sigma, years)
    right = reference(case(plain(sigma), PUT, years), x)
    require_within(case(process, PUT, years), x, Derivatives(right.value, right.gradient, right.hessian))


@pytest.mark.parametrize(("years", "kappa", "sigma"), [(0.02, 10.0, 60.0), (1.0, 0.2, 20.0), (20.0, 10.0, 60.0)])
def test_a_level_that_is_pulled_back_against_its_gaussian_law(years: float, kappa: float, sigma: float) -> None:
    x = np.array([[80.0], [100.0], [120.0]])
    decay, paid = math.exp(-kappa * years), math.exp(-RATE * years)
    spot = torch.tensor(x[:, 0], requires_grad=True)
    deviation = sigma * math.sqrt(-math.expm1(-2.0 * kappa * years) / (2.0 * kappa))
    d = (5.0 + (spot - 105.0) * decay) / deviation
    value = paid * deviation * (d * torch.special.ndtr(d) + torch.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi))
    (delta,) = torch.autograd.grad(value.sum(), spot, create_graph=True)
    (gamma,) = torch.autograd.grad(delta.sum(), spot)
    right = Derivatives(value.detach().numpy(), delta.detach().numpy()[:, None], gamma.numpy()[:, None, None])
    means, errors = resimulated.reference(
        resimulated.method(case(written(f"{kappa} * (105 - S)", f"{sigma}"), CALL, years)), x, order=2, seed=3
    )
    for mean, error, exact in zip(means, errors, right, strict=True):
        assert (np.abs(mean - exact) <= MARGIN * error + 1e-7).all()


@SLOW
def test_a_barrier_of_ten_years_under_heston_is_right_by_default() -> None:
    """Finite differences of another library, two grids within 0.5 %: 0.7635 and 7.122."""
    down_out = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out")
    problem, x = case(heston(1.5, 0.5), down_out, 10.0), np.array([[90.5], [95.0]])
    right, allowed = np.array([0.7635, 7.122]), 5e-3
    means, errors = resimulated.reference(resimulated.method(problem), x, order=0, seed=3)
    assert (np.abs(means.value - right) <= MARGIN * errors.value + allowed * right).all()
    spec = LabelSpec(paths=1024, replicates=4, order=0)
    labels, found = (
        make_labels(problem, torch.from_numpy(x), spec, seed=1),
        time_step_bias(problem, torch.from_numpy(x), spec, seed=1),
    )
    assert labels.value_error is not None
    assert found is not None
    stated = 2.0 * found["value"] + MARGIN * labels.value_error.numpy()
    assert (np.abs(labels.value.numpy() - right) <= stated + allowed * right).all()
    assert (np.abs(labels.value.numpy() - right) <= 0.04 * right).all()
