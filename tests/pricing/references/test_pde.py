from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.references.normal import lognormal, lognormal_digital
from pricing.references.pde import dupire, greeks
from pricing.references.reference import Reference, reference
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, LocalVolatility
from pricing.specs.schedule import Piece

Build = Callable[..., PricingProblem]
SIGMA, RHO, ETA, POWER, WEEK = 0.25, -0.5, 1.0, 0.4, 1.0 / 52.0
SURFACE = LocalVolatility(
    volatilities=(SIGMA,),
    skews=(RHO,),
    curvatures=(ETA,),
    powers=(POWER,),
    reference_spots=(100.0,),
    correlation=((1.0,),),
    rate=0.05,
    dividend_yields=(0.01,),
)
PLAIN = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.1, dividend_yields=(0.03,))
SPOTS = np.array([70.0, 95.0, 100.0, 105.0, 140.0])


def surface(k: Tensor, t: Tensor) -> Tensor:
    """Total implied variance."""
    theta = SIGMA**2 * t
    slow = SIGMA**2 * (t.square() + WEEK**2).sqrt()
    phi = ETA / (slow**POWER * (1.0 + slow) ** (1.0 - POWER))
    return 0.5 * theta * (1.0 + RHO * phi * k + ((phi * k + RHO) ** 2 + 1.0 - RHO**2).sqrt())


@pytest.mark.parametrize("t", [0.01, 0.5, 3.0])
def test_local_variance_is_dupires_by_automatic_differentiation(t: float) -> None:
    k = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64, requires_grad=True)
    years = torch.full_like(k, t).requires_grad_()
    w = surface(k, years)
    first, in_time = torch.autograd.grad(w.sum(), (k, years), create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), k)
    tilt = 0.25 * first**2 * (k**2 / w**2 - 1.0 / w - 0.25)
    expected = (in_time / (1.0 - k * first / w + tilt + 0.5 * second)).detach().numpy()
    assert np.allclose(dupire(k.detach().numpy(), t, sigma=SIGMA, shape=(RHO, ETA, POWER)), expected, rtol=1e-11)


@pytest.mark.parametrize("years", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("strike", [80.0, 100.0, 125.0])
@pytest.mark.parametrize("kind", [Call, Put, Digital])
def test_a_surface_prices_what_it_was_read_from(
    problem: Build, years: float, strike: float, kind: type[Call] | type[Put] | type[Digital]
) -> None:
    """Dupire's local variance gives back Black's formula with the implied variance, at the reference spot."""
    numbers = torch.tensor([strike, years], dtype=torch.float64, requires_grad=True)
    forward = 100.0 * torch.exp(0.04 * numbers[1])
    w = surface((numbers[0] / forward).log(), numbers[1])
    value = torch.exp(-0.05 * numbers[1]) * lognormal(forward, numbers[0], w, sign=-1.0 if kind is Put else 1.0)
    if kind is Digital:
        value = -torch.autograd.grad(value, numbers)[0][0]
    case = problem(SURFACE, kind(weights=(1.0,), strike=strike), years)
    ours = reference(case, np.array([[100.0]]), order=0).value[0]
    assert ours == pytest.approx(float(value.detach()), abs=2e-5)


@pytest.mark.parametrize(
    "payoff",
    [
        Call(weights=(1.0,), strike=100.0),
        Put(weights=(2.0,), strike=200.0),
        Digital(weights=(1.0,), strike=100.0),
        Barrier(strike=100.0, barrier=90.0, direction="down", knock="out"),
        Barrier(strike=100.0, barrier=90.0, direction="down", knock="in", side="put"),
        Barrier(strike=100.0, barrier=130.0, direction="up", knock="out"),
        Barrier(strike=100.0, barrier=130.0, direction="up", knock="in", side="put"),
    ],
)
@pytest.mark.parametrize("years", [0.1, 1.0])
def test_constant_volatility_is_the_closed_form(problem: Build, payoff: Call, years: float) -> None:
    case = problem(PLAIN, payoff, years)
    exact = reference(case, SPOTS[:, None])
    value, delta, gamma = greeks(PLAIN, payoff, scenario(case, torch.from_numpy(SPOTS[:1, None])), SPOTS)
    assert np.abs(value - exact.value).max() < 1e-5
    assert np.abs(delta - exact.gradient[:, 0]).max() < 2e-6
    assert np.abs(gamma - exact.hessian[:, 0, 0]).max() < 2e-4 * max(np.abs(exact.hessian).max(), 1e-3)


def test_pieces_that_add_up_to_a_constant_change_no_vanilla(problem: Build) -> None:
    """Half the time at twice the variance rate, and a barrier too far to matter."""
    pieces = BlackScholes(
        volatilities=(0.3,),
        correlation=((1.0,),),
        rate=0.08,
        rate_pieces=(Piece(start=0.5, value=0.12),),
        dividend_yields=(0.03,),
        volatility_pieces=(Piece(start=0.5, value=1.5),),
    )
    far = Barrier(strike=100.0, barrier=1.0, direction="down", knock="out")
    ours = reference(problem(pieces, far, 1.0), SPOTS[:, None])
    exact = reference(problem(pieces, Call(weights=(1.0,), strike=100.0), 1.0), SPOTS[:, None])
    assert (ours.kind, exact.kind) == ("pde", "closed form")
    assert np.abs(ours.value - exact.value).max() < 5e-5
    assert np.abs(ours.hessian - exact.hessian).max() < 1e-6


def test_limits_are_finite(problem: Build, assert_finite: Callable[[Reference], None]) -> None:
    case = problem(SURFACE, Put(weights=(1.0,), strike=100.0), 0.0, maturity=(0.0, 1.0))
    got = reference(case, np.array([[90.0, 0.0], [0.0, 0.5]]))
    assert_finite(got)
    assert got.value[0] == pytest.approx(10.0, abs=0.1)


def test_a_digital_is_a_probability(problem: Build) -> None:
    flat = LocalVolatility(
        volatilities=(0.2,),
        skews=(0.0,),
        curvatures=(0.0,),
        powers=(0.5,),
        reference_spots=(90.0,),
        correlation=((1.0,),),
    )
    got = reference(problem(flat, Digital(weights=(1.0,), strike=100.0), 1.0), SPOTS[:, None])
    parts = (torch.tensor(SPOTS), torch.tensor(100.0), torch.tensor(0.04))
    assert np.abs(got.value - lognormal_digital(*parts, sign=1.0).numpy()).max() < 1e-5
