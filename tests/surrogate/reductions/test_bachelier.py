"""The scaled formula around the exact canonical value is the exact value, with every derivative."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.references.methods import Differentiated
from pricing.references.reference import method, reference
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.schedule import Piece
from surrogate.reductions.choice import reason, reduce
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import Reduction

SPOT = Feature(name="spot", lower=(0.6, 0.5, 0.7), upper=(1.4, 1.5, 1.3))
STRIKE = Feature(name="strike", lower=(0.8,), upper=(1.2,))
SCALE = Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,), unit="1")
MATURITY = Feature(name="maturity", lower=(0.05,), upper=(2.0,), unit="years")
RATE = Feature(name="rate", lower=(-0.02,), upper=(0.08,), unit="per year")
DIVIDEND = Feature(name="dividend_yield", lower=(0.0,) * 3, upper=(0.05,) * 3, unit="per year")
VOLATILITY = Feature(name="volatility", lower=(0.1,) * 3, upper=(0.4,) * 3)
CORRELATION = Feature(name="correlation", lower=(0.0,), upper=(0.8,), unit="1")
LOADING = Feature(name="loading", lower=(0.0,) * 3, upper=(0.9,) * 3, unit="1")
MATRIX = ((1.0, 0.3, 0.1), (0.3, 1.0, 0.4), (0.1, 0.4, 1.0))
WEIGHTS = (0.5, 0.3, 0.2)

FORWARD = Bachelier(volatilities=(0.2, 0.3, 0.25), correlation=MATRIX)
CARRY = replace(FORWARD, convention="carry", rate=0.03, dividend_yields=(0.01, 0.02, 0.0))
LEVEL = replace(CARRY, dividend_yields=())

CASES: dict[str, tuple[Bachelier, Call | Put | Digital, tuple[Feature, ...]]] = {
    "strike, scale, maturity": (FORWARD, Call(weights=WEIGHTS, strike=1.0), (STRIKE, SCALE, MATURITY)),
    "pieces of the volatility": (
        replace(FORWARD, volatility_pieces=(Piece(start=0.5, value=2.0), Piece(start=1.0, value=0.5))),
        Call(weights=WEIGHTS, strike=1.0),
        (MATURITY, STRIKE, Feature(name="volatility_scale", lower=(0.5,) * 3, upper=(1.5,) * 3, unit="1")),
    ),
    "put, correlation": (FORWARD, Put(weights=WEIGHTS, strike=1.0), (MATURITY, CORRELATION, VOLATILITY)),
    "loading": (FORWARD, Call(weights=WEIGHTS, strike=1.0), (LOADING, STRIKE)),
    "carry, all": (CARRY, Call(weights=WEIGHTS, strike=1.0), (STRIKE, SCALE, MATURITY, RATE, DIVIDEND, CORRELATION)),
    "one carry for all": (LEVEL, Put(weights=WEIGHTS, strike=1.0), (MATURITY, RATE)),
    "spread": (FORWARD, Call(weights=(1.0, -0.6, -0.4), strike=0.1), (STRIKE, MATURITY)),
    "digital": (FORWARD, Digital(weights=WEIGHTS, strike=1.0, side="put", cash=3.0), (STRIKE, SCALE, MATURITY)),
}


def make(name: str) -> PricingProblem:
    process, payoff, features = CASES[name]
    if name == "spread":
        features = (Feature(name="strike", lower=(0.0,), upper=(0.2,)), *features[1:])
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(SPOT, *features))


def reduced(problem: PricingProblem) -> Reduction:
    found = reduce(problem)
    assert found is not None
    return found


def exactly(reduction: Reduction, features: torch.Tensor) -> torch.Tensor:
    """The scaled formula with the canonical problem's closed form for the network."""
    canonical = reduction.canonical
    how = method(canonical)
    assert isinstance(how, Differentiated)

    def h(u: torch.Tensor) -> torch.Tensor:
        return how.formula(scenario(canonical, u))

    return evaluate([reduction.value], features, h)[0][:, 0]


@pytest.mark.parametrize("name", CASES)
def test_scaling_is_exact_for_value_gradient_and_hessian(name: str) -> None:
    problem = make(name)
    reduction = reduced(problem)
    assert reduction.canonical.box.dimension == 3
    features = problem.box.from_uniforms(np.random.default_rng(1).random((200, problem.box.dimension)))
    exact = reference(problem, features)
    x = torch.from_numpy(features).requires_grad_()
    value = exactly(reduction, x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in slope.unbind(1)], 1)
    for got, want, tolerance in (
        (value, exact.value, 1e-7),
        (slope, exact.gradient, 1e-6),
        (hessian, exact.hessian, 3e-5),
    ):
        np.testing.assert_allclose(got.detach().numpy(), want, rtol=0.0, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("name", CASES)
def test_the_canonical_box_holds_the_image_of_the_box(name: str) -> None:
    problem = make(name)
    reduction = reduced(problem)
    features = problem.box.from_uniforms(np.random.default_rng(2).random((1000, problem.box.dimension)))
    (u,) = evaluate([reduction.arguments], torch.from_numpy(features))
    inside = reduction.canonical.box.distance(u.numpy())
    assert inside.max() <= 1e-12


def test_the_price_is_the_asymptote_beyond_six_deviations_and_smooth_on_the_way() -> None:
    """Whatever the network says: here it is wrong by 1e-7, as much as a trained one is at |d| = 5."""
    problem = make("strike, scale, maturity")
    reduction = reduced(problem)
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    exposures = weights * torch.tensor(FORWARD.volatilities, dtype=torch.float64)
    s = float(torch.sqrt(exposures @ torch.tensor(MATRIX, dtype=torch.float64) @ exposures))

    def price(d: float) -> tuple[float, float, float]:
        spot = 1.0 + d * s
        x = torch.tensor([[spot, spot, spot, 1.0, 1.0, 1.0]], dtype=torch.float64).requires_grad_()
        value = evaluate([reduction.value], x, lambda u: torch.relu(u @ weights) + 1e-7)[0][:, 0]
        (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope[:, 0].sum(), x)
        return value.item(), slope[0, :3].sum().item(), bend[0, :3].sum().item()

    for edge in (-6.0, -5.0, 5.0, 6.0):
        before, after = price(edge - 1e-9), price(edge + 1e-9)
        assert after[0] - before[0] == pytest.approx(2e-9 * s * (edge > 0), abs=1e-15)
        assert after[1] == pytest.approx(before[1], abs=1e-12)
        assert after[2] == pytest.approx(before[2], abs=1e-10)
    assert price(7.0)[0] == pytest.approx(7.0 * s, rel=1e-15)
    assert price(-7.0) == (0.0, 0.0, 0.0)


def test_nothing_is_infinite_without_time_or_volatility() -> None:
    zero = replace(MATURITY, lower=(0.0,)), replace(SCALE, lower=(0.0,))
    problem = replace(make("strike, scale, maturity"), features=(SPOT, STRIKE, *zero))
    reduction = reduced(problem)
    spots = np.random.default_rng(3).uniform(0.6, 1.3, (40, 3))
    features = np.column_stack([spots, np.full(40, 1.0), np.tile([0.0, 1.0], 20), np.repeat([0.0, 0.5], 20)])
    x = torch.from_numpy(features).requires_grad_()
    value = evaluate([reduction.value], x, lambda u: torch.nn.functional.softplus(u @ torch.tensor(WEIGHTS).double()))[
        0
    ]
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    bends = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in slope.unbind(1)]
    assert all(part.isfinite().all() for part in (value, slope, *bends))
    dead = (features[:, 4:] == 0.0).any(axis=1)
    intrinsic = np.maximum(spots @ WEIGHTS - 1.0, 0.0)
    np.testing.assert_allclose(value.detach().numpy()[dead, 0], intrinsic[dead], atol=1e-12)


@pytest.mark.parametrize(
    "process",
    [
        replace(CARRY, volatility_pieces=(Piece(start=0.5, value=2.0),)),
        replace(CARRY, rate_pieces=(Piece(start=0.5, value=0.1),)),
    ],
)
def test_fixed_dates_are_not_scaled(process: Bachelier) -> None:
    problem = PricingProblem(
        process=process, payoff=Call(weights=WEIGHTS, strike=1.0), maturity=1.0, features=(SPOT, STRIKE)
    )
    assert reduce(problem) is None
    assert "at fixed times" in str(reason(problem))


def test_spots_alone_are_learnt_as_they_are() -> None:
    problem = PricingProblem(process=FORWARD, payoff=Call(weights=WEIGHTS, strike=1.0), maturity=1.0, features=(SPOT,))
    assert reduce(problem) is None
    assert reason(problem) == "only the spots vary"
