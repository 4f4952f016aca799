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

from pricing.errors import InvalidSpec
from pricing.labels import Labels, make_labels
from pricing.references.reference import reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Bridge
from pricing.specs.european import Call, Put, Side
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.schedule import Dividend, Piece
from tests.pricing import oracle
from tests.pricing.cases import CARRYING, DATED, GAUSSIAN, asked, doubles, feature, points, problem_of

KINDS = list(product(("call", "put"), ("down", "up"), ("out", "in")))
NAMES = ("spot", "strike", "barrier", "volatility", "maturity", "rate")
UPPER = {"spot": 200.0, "strike": 200.0, "barrier": 200.0, "volatility": 50.0, "maturity": 5.0}
# Spots on both sides of either barrier, as near as 0.1 %.
SPOTS = (85.0, 89.9, 90.1, 100.0, 110.0, 114.9, 115.1)


def kinded(kind: tuple[str, str, str], *, process: Process = CARRYING, names: Sequence[str] = NAMES) -> PricingProblem:
    """A barrier at 90 or 115, strike 100, every parameter a feature."""
    side, direction, knock = kind
    payoff = Barrier(
        strike=100.0,
        barrier=90.0 if direction == "down" else 115.0,
        direction=direction,  # type: ignore[arg-type]
        knock=knock,  # type: ignore[arg-type]
        side=side,  # type: ignore[arg-type]
    )
    others = (feature(name, 0.0, UPPER.get(name, 1.0)) for name in names if name != "spot")
    return problem_of(process, payoff, *others, spots=(0.0, UPPER["spot"]))


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("process", [CARRYING, GAUSSIAN])
def test_one_step_is_the_closed_form_with_all_derivatives(kind: tuple[str, str, str], process: Process) -> None:
    names = NAMES if process is CARRYING else NAMES[:-1]
    priced = kinded(kind, process=process, names=names)
    x = points(priced, SPOTS)
    labels, right = labelled(priced, x), reference(priced, x.numpy())
    curvature = np.einsum("nij,nkj->nki", right.hessian, asked(labels.directions).numpy())
    np.testing.assert_allclose(labels.value, right.value, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(asked(labels.gradient), right.gradient, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(asked(labels.curvature), curvature, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_quantlib(kind: tuple[str, str, str]) -> None:
    spots = (95.0, 100.0, 110.0)
    priced = kinded(kind, names=("spot",))
    labels = labelled(priced, points(priced, spots))
    expected = [quantlib(kind, spot) for spot in spots]
    np.testing.assert_allclose(labels.value, expected, rtol=1e-9, atol=1e-10)


def quantlib(kind: tuple[str, str, str], spot: float) -> float:
    """Reiner & Rubinstein's formula, one year of 365 days."""
    side, direction, knock = kind
    process = oracle.black_scholes(spot, rate=0.03, dividend=0.01, volatility=0.25)
    barrier = getattr(QuantLib.Barrier, f"{direction.title()}{knock.title()}")
    level = 90.0 if direction == "down" else 115.0
    option = QuantLib.BarrierOption(barrier, level, 0.0, oracle.payoff(side, 100.0), oracle.exercise())
    option.setPricingEngine(QuantLib.AnalyticBarrierEngine(process))
    return float(option.NPV())


@pytest.mark.parametrize("kind", [("call", "down", "out"), ("put", "up", "in")])
@pytest.mark.parametrize("process", [CARRYING, GAUSSIAN])
def test_many_steps_agree_with_one(kind: tuple[str, str, str], process: Process) -> None:
    priced = kinded(kind, process=process, names=("spot", "barrier", "volatility"))
    x = points(priced, (90.3, 100.0, 114.6))
    one, many = labelled(priced, x), labelled(priced, x, steps=3, paths=256, replicates=16)
    assert_within_errors(many, one)


def assert_within_errors(labels: Labels, right: Labels) -> None:
    """Value, gradient and curvature within four standard errors."""
    for name in ("value", "gradient", "curvature"):
        error = asked(getattr(labels, f"{name}_error"))
        gap = (getattr(labels, name) - getattr(right, name)).abs()
        assert (gap <= 4.0 * error + 1e-9).all(), name


def test_pieces_that_change_nothing_change_nothing() -> None:
    pieces = (Piece(start=0.4, value=1.0), Piece(start=5.0, value=9.0))
    cut = replace(CARRYING, volatility_pieces=pieces)
    kind = ("call", "down", "out")
    x = points(kinded(kind, names=("spot", "maturity")), (91.0, 105.0))
    one = labelled(kinded(kind, names=("spot", "maturity")), x)
    several = labelled(kinded(kind, names=("spot", "maturity"), process=cut), x, paths=256, replicates=16)
    assert_within_errors(several, one)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("direction", ["down", "up"])
def test_in_and_out_make_the_vanilla_option(side: Side, direction: str, steps: int) -> None:
    kinds = [kinded((side, direction, knock), names=("spot", "strike")) for knock in ("out", "in")]
    x = points(kinds[0], SPOTS)
    out, inside = (labelled(kind, x, steps=steps, paths=64, replicates=8) for kind in kinds)
    option = Call(weights=(1.0,), strike=100.0) if side == "call" else Put(weights=(1.0,), strike=100.0)
    vanilla = reference(replace(kinds[0], payoff=option), x.numpy())
    if steps == 1:
        np.testing.assert_allclose(out.value + inside.value, vanilla.value, rtol=1e-12)
        np.testing.assert_allclose(asked(out.gradient) + asked(inside.gradient), vanilla.gradient, rtol=1e-11)
        return
    noise = torch.hypot(asked(out.value_error), asked(inside.value_error)).numpy()
    assert (np.abs((out.value + inside.value).numpy() - vanilla.value) < 5.0 * noise + 1e-11).all()
    noise = torch.hypot(asked(out.gradient_error), asked(inside.gradient_error)).numpy()
    gradient = (asked(out.gradient) + asked(inside.gradient)).numpy()
    assert (np.abs(gradient - vanilla.gradient) < 5.0 * noise + 1e-10).all()


def test_a_spot_beyond_the_barrier_is_knocked_at_once() -> None:
    out = kinded(("call", "down", "out"))
    labels = labelled(out, points(out, (90.0, 80.0)))
    assert labels.value.tolist() == [0.0, 0.0]
    assert asked(labels.gradient)[1].abs().max() < 1e-12
    assert asked(labels.curvature)[1].abs().max() < 1e-10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("name", "value"), [("volatility", 0.0), ("maturity", 0.0), ("spot", 0.0), ("barrier", 0.0)])
def test_limits_are_finite_and_right(kind: tuple[str, str, str], steps: int, name: str, value: float) -> None:
    priced = kinded(kind)
    x = points(priced, SPOTS)
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
    with pytest.raises(InvalidSpec, match="without dates"):
        labelled(problem_of(CARRYING, DATED), doubles([[100.0]]))


def test_a_dividend_between_the_points_is_refused() -> None:
    process = replace(CARRYING, dividends=(Dividend(time=0.5, proportion=0.08),))
    priced = kinded(KINDS[0], process=process, names=("spot",))
    with pytest.raises(InvalidSpec, match="over which a dividend jumps"):
        labelled(priced, points(priced, SPOTS))
