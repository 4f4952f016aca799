"""Continuous barriers: closed forms, all eight kinds, every limit."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
import pytest
import QuantLib
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.labels import Labels, make_labels
from pricing.references.reference import reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Bridge
from pricing.specs.european import Call, Put, Side
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.schedule import Dividend, Piece

KINDS = list(product(("call", "put"), ("down", "up"), ("out", "in")))
PROCESS = BlackScholes(volatilities=(0.25,), correlation=((1.0,),), rate=0.03, dividend_yields=(0.01,))
FORWARD = Bachelier(volatilities=(20.0,), correlation=((1.0,),))
NAMES = ("spot", "strike", "barrier", "volatility", "maturity", "rate")
UPPER = {"spot": 200.0, "strike": 200.0, "barrier": 200.0, "volatility": 50.0, "maturity": 5.0}
# Spots on both sides of either barrier, as near as 0.1 %.
SPOTS = (85.0, 89.9, 90.1, 100.0, 110.0, 114.9, 115.1)


def problem(
    kind: tuple[str, str, str], *, process: Process = PROCESS, names: Sequence[str] = NAMES, maturity: float = 1.0
) -> PricingProblem:
    """A barrier at 90 or 115, strike 100, every parameter a feature."""
    side, direction, knock = kind
    payoff = Barrier(
        strike=100.0,
        barrier=90.0 if direction == "down" else 115.0,
        direction=direction,  # type: ignore[arg-type]
        knock=knock,  # type: ignore[arg-type]
        side=side,  # type: ignore[arg-type]
    )
    features = tuple(Feature(name=name, lower=(0.0,), upper=(UPPER.get(name, 1.0),)) for name in names)
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=features)


def points(priced: PricingProblem, spots: Sequence[float] = SPOTS) -> Tensor:
    """Those spots, all else as the specification says."""
    own = [priced.parameters[feature.name][0] for feature in priced.features[1:]]
    return torch.tensor([[spot, *own] for spot in spots], dtype=torch.float64)


def labelled(
    priced: PricingProblem, x: Tensor, *, steps: int = 1, paths: int = 1, replicates: int = 1, order: Literal[1, 2] = 2
) -> Labels:
    """Labels by bridges, with as many curvature directions as features."""
    spec = LabelSpec(
        estimator=Bridge(steps=steps),
        paths=paths,
        replicates=replicates,
        order=order,
        directions=x.shape[1],
        direction_law="random",
        draws=Draws(pilot=64),
    )
    return make_labels(priced, x, spec, seed=3)


def optional(label: Tensor | None) -> Tensor:
    """A label that was asked for."""
    assert label is not None
    return label


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("process", [PROCESS, FORWARD])
def test_one_step_is_the_closed_form_with_all_derivatives(kind: tuple[str, str, str], process: Process) -> None:
    names = NAMES if process is PROCESS else NAMES[:-1]
    priced = problem(kind, process=process, names=names)
    x = points(priced)
    labels, right = labelled(priced, x), reference(priced, x.numpy())
    curvature = np.einsum("nij,nkj->nki", right.hessian, optional(labels.directions).numpy())
    np.testing.assert_allclose(labels.value, right.value, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(optional(labels.gradient), right.gradient, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(optional(labels.curvature), curvature, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_greeks_of_quantlib(kind: tuple[str, str, str]) -> None:
    spots = (95.0, 100.0, 110.0)
    priced = problem(kind, names=("spot",))
    labels = labelled(priced, points(priced, spots))
    expected = [quantlib(kind, spot) for spot in spots]
    np.testing.assert_allclose(labels.value, expected, rtol=1e-9, atol=1e-10)


def quantlib(kind: tuple[str, str, str], spot: float) -> float:
    """Reiner & Rubinstein's formula, one year of 365 days."""
    side, direction, knock = kind
    today = QuantLib.Date(1, 1, 2025)
    QuantLib.Settings.instance().evaluationDate = today
    count, calendar = QuantLib.Actual365Fixed(), QuantLib.NullCalendar()

    def curve(rate: float) -> QuantLib.YieldTermStructureHandle:
        return QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, rate, count))

    process = QuantLib.BlackScholesMertonProcess(
        QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot)),
        curve(0.01),
        curve(0.03),
        QuantLib.BlackVolTermStructureHandle(QuantLib.BlackConstantVol(today, calendar, 0.25, count)),
    )
    barrier = getattr(QuantLib.Barrier, f"{direction.title()}{knock.title()}")
    payoff = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if side == "call" else QuantLib.Option.Put, 100.0)
    level = 90.0 if direction == "down" else 115.0
    option = QuantLib.BarrierOption(barrier, level, 0.0, payoff, QuantLib.EuropeanExercise(today + 365))
    option.setPricingEngine(QuantLib.AnalyticBarrierEngine(process))
    return float(option.NPV())


@pytest.mark.parametrize("kind", [("call", "down", "out"), ("put", "up", "in")])
@pytest.mark.parametrize("process", [PROCESS, FORWARD])
def test_many_steps_agree_with_one(kind: tuple[str, str, str], process: Process) -> None:
    priced = problem(kind, process=process, names=("spot", "barrier", "volatility"))
    x = points(priced, (90.3, 100.0, 114.6))
    one, many = labelled(priced, x), labelled(priced, x, steps=3, paths=256, replicates=16)
    assert_within_errors(many, one)


def assert_within_errors(labels: Labels, right: Labels) -> None:
    """Value, gradient and curvature within four standard errors."""
    for name in ("value", "gradient", "curvature"):
        error = optional(getattr(labels, f"{name}_error"))
        gap = (getattr(labels, name) - getattr(right, name)).abs()
        assert (gap <= 4.0 * error + 1e-9).all(), name


def test_pieces_that_change_nothing_change_nothing() -> None:
    pieces = (Piece(start=0.4, value=1.0), Piece(start=5.0, value=9.0))
    cut = BlackScholes(
        volatilities=(0.25,), correlation=((1.0,),), rate=0.03, dividend_yields=(0.01,), volatility_pieces=pieces
    )
    kind = ("call", "down", "out")
    x = points(problem(kind, names=("spot", "maturity")), (91.0, 105.0))
    one = labelled(problem(kind, names=("spot", "maturity")), x)
    several = labelled(problem(kind, names=("spot", "maturity"), process=cut), x, paths=256, replicates=16)
    assert_within_errors(several, one)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("direction", ["down", "up"])
def test_in_and_out_make_the_vanilla_option(side: Side, direction: str, steps: int) -> None:
    kinds = [problem((side, direction, knock), names=("spot", "strike")) for knock in ("out", "in")]
    x = points(kinds[0])
    out, inside = (labelled(kind, x, steps=steps, paths=64) for kind in kinds)
    option = Call(weights=(1.0,), strike=100.0) if side == "call" else Put(weights=(1.0,), strike=100.0)
    vanilla = reference(replace(kinds[0], payoff=option), x.numpy())
    np.testing.assert_allclose(out.value + inside.value, vanilla.value, rtol=1e-12)
    np.testing.assert_allclose(optional(out.gradient) + optional(inside.gradient), vanilla.gradient, rtol=1e-11)


def test_a_spot_beyond_the_barrier_is_knocked_at_once() -> None:
    out = problem(("call", "down", "out"))
    labels = labelled(out, points(out, (90.0, 80.0)))
    assert labels.value.tolist() == [0.0, 0.0]
    assert optional(labels.gradient)[1].abs().max() < 1e-12
    assert optional(labels.curvature)[1].abs().max() < 1e-10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("name", "value"), [("volatility", 0.0), ("maturity", 0.0), ("spot", 0.0), ("barrier", 0.0)])
def test_limits_are_finite_and_right(kind: tuple[str, str, str], steps: int, name: str, value: float) -> None:
    priced = problem(kind)
    x = points(priced)
    x[:, NAMES.index(name)] = value
    labels = labelled(priced, x, steps=steps, paths=8)
    if name in ("volatility", "maturity"):
        np.testing.assert_allclose(labels.value, [intrinsic(kind, row) for row in x.tolist()], atol=1e-12)


def intrinsic(kind: tuple[str, str, str], row: Sequence[float]) -> float:
    """The value on the only path, which is monotone."""
    side, direction, knock = kind
    spot, strike, barrier, _, maturity, rate = row
    end = spot * np.exp((rate - 0.01) * maturity)
    touched = min(spot, end) <= barrier if direction == "down" else max(spot, end) >= barrier
    cash = max(end - strike, 0.0) if side == "call" else max(strike - end, 0.0)
    return float(np.exp(-rate * maturity) * cash * (touched == (knock == "in")))


def test_barriers_with_dates_are_refused() -> None:
    payoff = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out", dates=(0.5, 1.0))
    spot = Feature(name="spot", lower=(50.0,), upper=(150.0,))
    priced = PricingProblem(process=PROCESS, payoff=payoff, maturity=1.0, features=(spot,))
    with pytest.raises(InvalidSpec, match="without dates"):
        labelled(priced, torch.tensor([[100.0]], dtype=torch.float64))


def test_a_dividend_between_the_points_is_refused() -> None:
    process = replace(PROCESS, dividends=(Dividend(time=0.5, proportion=0.08),))
    priced = problem(KINDS[0], process=process, names=("spot",))
    with pytest.raises(InvalidSpec, match="over which a dividend jumps"):
        labelled(priced, points(priced))
