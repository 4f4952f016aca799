"""Homogeneity and time scaling: the scaled formula around the exact canonical value is the exact value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.references import black_scholes, fourier, rainbow
from pricing.references.reference import reference
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Barrier, Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, Process
from pricing.specs.schedule import Dividend, Piece
from surrogate.reductions import geometric
from surrogate.reductions.choice import reason, reduce
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import Reduction, parameters, to_canonical

MATURITY = Feature(name="maturity", lower=(0.2,), upper=(2.0,), unit="years")
STRIKE = Feature(name="strike", lower=(0.8,), upper=(1.2,))
RATE = Feature(name="rate", lower=(-0.02,), upper=(0.08,), unit="per year")
DIVIDEND = Feature(name="dividend_yield", lower=(0.0,), upper=(0.05,), unit="per year")
SCALE = Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,), unit="1")
VOLATILITY = Feature(name="volatility", lower=(0.1,), upper=(0.5,))
CORRELATION = Feature(name="correlation", lower=(0.0,), upper=(0.8,), unit="1")
KNOT = Feature(name="knot", lower=(0.8,), upper=(1.2,))
KNOTS = Feature(name="knot", lower=(0.8, 1.05), upper=(1.0, 1.2))
BARRIER = Feature(name="barrier", lower=(0.5,), upper=(0.7,))
VARIANCES = tuple(
    Feature(name=name, lower=(low,), upper=(high,), unit="per year")
    for name, low, high in (
        ("initial_variance", 0.02, 0.1),
        ("mean_reversion", 0.5, 3.0),
        ("long_variance", 0.02, 0.1),
        ("variance_volatility", 0.2, 0.8),
    )
)
SINGLE = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.03, dividend_yields=(0.01,))
PAIR = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.4), (0.4, 1.0)))
HESTON = Heston(
    initial_variances=(0.05,),
    mean_reversions=(1.5,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.6,),
    correlation=((1.0,),),
    rate=0.02,
)
# Rates and volatilities that change at fixed times, which the maturity crosses.
RATES, RATES_VARY = (
    (Piece(start=0.5, value=0.08), Piece(start=1.25, value=-0.02)),
    Feature(name="rate", lower=(-0.02, 0.0, -0.05), upper=(0.08, 0.1, 0.05)),
)
TURNING = replace(
    SINGLE, rate_pieces=RATES, volatility_pieces=(Piece(start=0.5, value=1.8), Piece(start=1.0, value=0.4))
)
SCALES = Feature(name="volatility_scale", lower=(0.5, 0.8, 0.2), upper=(1.5, 2.0, 1.0), unit="1")
OUT = Barrier(strike=1.0, barrier=0.7, direction="down", knock="out")

# Of a process, a payoff and a scenario.
Formula = Callable[..., Tensor]
CASES: dict[str, tuple[Process, Payoff, tuple[Feature, ...], Formula]] = {
    "call": (SINGLE, Call(weights=(1.0,), strike=1.0), (STRIKE, MATURITY, VOLATILITY, RATE), black_scholes.single),
    "two puts": (SINGLE, Put(weights=(2.0,), strike=2.0), (MATURITY, SCALE, DIVIDEND), black_scholes.single),
    "digital": (SINGLE, Digital(weights=(1.0,), strike=1.0, cash=3.0), (STRIKE, SCALE, MATURITY), black_scholes.single),
    "basket": (PAIR, Call(weights=(0.5, 0.5), strike=1.0), (STRIKE, SCALE, MATURITY, CORRELATION), black_scholes.pair),
    "worst": (PAIR, WorstOf(initial=(1.0, 1.1), strike=0.9, side="put"), (STRIKE, MATURITY), rainbow.ranked),
    "barrier": (replace(SINGLE, dividend_yields=()), OUT, (STRIKE, SCALE, MATURITY, BARRIER), black_scholes.barrier),
    "pieces of time": (TURNING, Call(weights=(1.0,), strike=1.0), (MATURITY, STRIKE), black_scholes.single),
    "pieces of time that vary": (
        replace(TURNING, dividend_yields=()),
        Digital(weights=(1.0,), strike=1.0, side="put"),
        (RATES_VARY, MATURITY, SCALES, VOLATILITY),
        black_scholes.single,
    ),
    "pieces of time on two assets": (
        replace(PAIR, rate_pieces=RATES, volatility_pieces=TURNING.volatility_pieces),
        WorstOf(initial=(1.0, 1.1), strike=0.9, side="put"),
        (MATURITY, STRIKE),
        rainbow.ranked,
    ),
    "heston with pieces of the rate": (
        replace(HESTON, rate_pieces=RATES),
        Call(weights=(1.0,), strike=1.0),
        (MATURITY, RATES_VARY, STRIKE),
        fourier.vanilla,
    ),
    "heston": (HESTON, Call(weights=(1.0,), strike=1.0), (STRIKE, MATURITY, RATE, *VARIANCES), fourier.vanilla),
}


def make(name: str) -> PricingProblem:
    process, payoff, features, _ = CASES[name]
    spots = Feature(name="spot", lower=(0.75,) * process.assets, upper=(1.5,) * process.assets)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spots, *features))


def reduced(problem: PricingProblem) -> Reduction:
    found = reduce(problem)
    assert found is not None
    return found


@pytest.mark.parametrize("name", CASES)
def test_scaling_is_exact(name: str) -> None:
    """Value and gradient; the network is what the canonical value leaves of it after its own amplitude."""
    problem = make(name)
    reduction, formula = reduced(problem), CASES[name][3]
    assert reduction.canonical.box.dimension < problem.box.dimension
    features = problem.box.from_uniforms(np.random.default_rng(1).random((100, problem.box.dimension)))
    exact = reference(problem, features, order=1)
    x = torch.from_numpy(features).requires_grad_()
    u = to_canonical(reduction, x)
    assert reduction.canonical.box.distance(u.detach().numpy()).max() <= 1e-12
    (local,) = evaluate([reduction.local_amplitude], u)
    (amplitude,) = evaluate([reduction.amplitude], x)
    canonical = reduction.canonical
    value = (amplitude / local)[:, 0] * formula(canonical.process, canonical.payoff, scenario(canonical, u))
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(value.detach().numpy(), exact.value, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slope.numpy(), exact.gradient, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_the_same_from_either_side(name: str) -> None:
    reduction = reduced(make(name))
    features = reduction.problem.box.from_uniforms(
        np.random.default_rng(2).random((50, reduction.problem.box.dimension))
    )
    x = torch.from_numpy(features)
    (u,) = evaluate([reduction.inputs], x)
    (z,) = evaluate([reduction.local_inputs], to_canonical(reduction, x))
    torch.testing.assert_close(u, z, rtol=1e-12, atol=1e-12)
    assert reduction.box.distance(u.numpy()).max() <= 1e-12


@pytest.mark.parametrize(
    ("payoff", "others"),
    [
        (Pieces(weights=(1.0,), knots=(0.95, 1.05), slopes=(0.0, 1.0, 0.0)), (MATURITY, SCALE, RATE)),
        (Pieces(weights=(1.0,), knots=(1.0, 1.2), slopes=(0.0,) * 3, jumps=(2.0, -2.0), cash=1.0), (MATURITY, SCALE)),
        (Pieces(weights=(1.0,), knots=(1.0,), slopes=(-1.0, 1.0)), (KNOT, MATURITY, VOLATILITY)),
    ],
)
def test_pieces_scale_by_their_first_knot(payoff: Pieces, others: tuple[Feature, ...]) -> None:
    """Value and gradient of the formula around the exact canonical value."""
    spots = Feature(name="spot", lower=(0.75,), upper=(1.5,))
    problem = PricingProblem(process=SINGLE, payoff=payoff, maturity=1.0, features=(spots, *others))
    reduction = reduced(problem)
    assert reduction.canonical.box.dimension < problem.box.dimension
    assert reduction.canonical.parameters["knot"] == pytest.approx(
        tuple(knot / payoff.knots[0] for knot in payoff.knots)
    )
    features = problem.box.from_uniforms(np.random.default_rng(1).random((50, problem.box.dimension)))
    exact = reference(problem, features, order=1)
    x = torch.from_numpy(features).requires_grad_()
    u = to_canonical(reduction, x)
    inner = reference(reduction.canonical, u.detach().numpy(), order=1)
    moved = ((u - u.detach()) * torch.from_numpy(inner.gradient)).sum(dim=1)
    (amplitude,), (local,) = evaluate([reduction.amplitude], x), evaluate([reduction.local_amplitude], u)
    value = (amplitude / local)[:, 0] * (torch.from_numpy(inner.value) + moved)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(value.detach().numpy(), exact.value, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slope.numpy(), exact.gradient, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("payoff", "others", "words"),
    [
        (Pieces(weights=(1.0,), knots=(0.9, 1.1), slopes=(0.0, 1.0, 0.0)), (KNOTS, MATURITY), "several knots vary"),
        (
            Pieces(weights=(1.0,), knots=(0.9,), slopes=(0.0, 1.0), cash=0.1),
            (MATURITY,),
            "the price is not homogeneous in spot and strike",
        ),
        (
            Pieces(weights=(1.0,), knots=(-0.5, 1.0), slopes=(0.0, 1.0, 0.0)),
            (MATURITY,),
            "knot is -0.5, and only one above 0 is a unit to scale by",
        ),
    ],
)
def test_pieces_that_do_not_scale_say_why(payoff: Pieces, others: tuple[Feature, ...], words: str) -> None:
    spots = Feature(name="spot", lower=(0.75,), upper=(1.5,))
    problem = PricingProblem(process=SINGLE, payoff=payoff, maturity=1.0, features=(spots, *others))
    assert words in (reason(problem) or "")


def test_what_gains_nothing_or_is_not_homogeneous_stays_as_it_is_and_says_why() -> None:
    call = make("call")
    zero = replace(call.features[0], lower=(0.0,))
    heston = make("heston")
    spread = replace(
        make("basket"), payoff=Call(weights=(1.0, -1.0), strike=0.0), features=(make("basket").features[0], MATURITY)
    )
    for problem, why in (
        (replace(call, features=call.features[:1]), "nothing that varies scales"),
        (replace(call, process=replace(SINGLE, dividends=(Dividend(time=0.5, amount=0.1),))), "at fixed times"),
        (replace(call, features=(zero, *call.features[1:])), "spot goes down to 0"),
        (spread, "strike is 0, and only one above 0 is a unit"),
        (replace(heston, features=(*heston.features, SCALE)), "volatility scale of a Heston"),
        (
            replace(heston, process=replace(HESTON, volatility_pieces=TURNING.volatility_pieces)),
            "volatilities change at fixed times, and the variance is random",
        ),
        (
            replace(make("barrier"), process=replace(SINGLE, rate_pieces=RATES)),
            "rates or volatilities change at fixed times, and the payoff depends on more",
        ),
        (replace(call, features=(call.features[0], replace(VOLATILITY, lower=(0.0,)))), "to maturity goes down"),
        (replace(call, features=(call.features[0], replace(MATURITY, lower=(0.0,)))), "maturity goes down to 0"),
    ):
        assert reduce(problem, controlled=False) is None
        assert why in str(reason(problem))
    width = replace(call, features=(call.features[0], VOLATILITY))
    assert reduced(width).canonical.box.dimension == width.box.dimension
    assert reason(width) is None


PAST = Feature(name="past_average", lower=(0.8,), upper=(1.2,))
RUNNING = Asian(weights=(1.0,), strike=1.0, dates=(0.5, 1.0), past_fixings=2, past_average=1.0)


def running(payoff: Asian, *features: Feature) -> PricingProblem:
    """An average with past fixings as a function of the spot and the others."""
    spot = Feature(name="spot", lower=(0.75,), upper=(1.5,))
    return PricingProblem(process=SINGLE, payoff=payoff, maturity=1.0, features=(spot, *features))


def test_past_fixings_and_strike_cost_nothing() -> None:
    """One input, the spot over the strike that is left; against the reference of the whole."""
    problem = running(RUNNING, PAST, STRIKE)
    reduction = reduced(replace(problem, features=(problem.features[0], replace(PAST, upper=(1.1,)), STRIKE)))
    canonical = reduction.canonical
    assert canonical.box.labels == ("spot",)
    assert canonical.payoff == Asian(weights=(1.0,), strike=1.0, dates=(0.5, 1.0))
    features = np.array([[0.9, 0.8, 1.0], [1.0, 1.05, 0.9], [1.2, 1.0, 1.1], [1.4, 0.9, 1.2]])
    exact = reference(reduction.problem, features, order=1)
    x = torch.from_numpy(features).requires_grad_()
    u = to_canonical(reduction, x)
    inner = reference(canonical, u.detach().numpy(), order=1)
    (local,), (outer,) = evaluate([reduction.local_amplitude], u), evaluate([reduction.amplitude], x)
    moved = torch.from_numpy(inner.value) + ((u - u.detach()) * torch.from_numpy(inner.gradient)).sum(dim=1)
    value = (outer / local)[:, 0] * moved
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(value.detach().numpy(), exact.value, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(slope.numpy(), exact.gradient, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("payoff", "features"),
    [
        (replace(RUNNING, past_fixings=18), (PAST, STRIKE)),  # nothing is left of the strike in part of the Box
        (replace(RUNNING, average="geometric"), (PAST, STRIKE)),
    ],
)
def test_else_the_past_average_is_a_level_like_the_others(payoff: Asian, features: tuple[Feature, ...]) -> None:
    canonical = reduced(running(payoff, *features)).canonical
    assert canonical.box.labels == ("spot", "past_average")
    assert canonical.payoff == replace(payoff, strike=1.0)


def test_a_parameter_that_no_rule_scales_leaves_no_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than one that forgets it."""
    call = make("call")
    scaled = geometric.scaled_parameters(call, parameters(call))
    del scaled["dividend_yield"]
    monkeypatch.setattr(geometric, "scaled_parameters", lambda problem, at: scaled)
    assert reduce(call) is None
    assert reason(call) == "nothing says how dividend_yield scales with the others"
