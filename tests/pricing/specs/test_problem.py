"""Which payoffs and features a process takes."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.payoff import Asian, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from tests.pricing.cases import CONTINUOUS, GAUSSIAN, NOTE, PLAIN, SURFACE, changed, feature, problem_of

GEOMETRIC = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0), average="geometric")
SPOT = {"name": "spot", "lower": [50.0] * 3, "upper": [150.0] * 3}
CORRELATION = {"name": "correlation", "lower": [0.0], "upper": [0.5]}
RANKED = {"kind": "worst_of", "initial": [1.0, 1.0], "strike": 1.0}
AMERICAN = {"kind": "bermudan", "option": RANKED, "dates": [1.0]}
BARRIER = {"kind": "barrier", "strike": 1.0, "barrier": 0.5, "direction": "down", "knock": "out"}
LOADING = {"name": "loading", "lower": [0.0] * 3, "upper": [0.5] * 3}


@pytest.fixture
def plain(long_short: PricingProblem) -> dict[str, Any]:
    return dump(long_short)


@pytest.mark.parametrize(
    ("payoff", "message"),
    [(GEOMETRIC, "'geometric' needs positive levels"), (NOTE, "'autocall' needs positive levels")],
)
def test_levels_that_may_fall_below_zero(payoff: Payoff, message: str) -> None:
    assert problem_of(PLAIN, payoff).payoff == payoff
    with pytest.raises(InvalidSpec, match=message):
        problem_of(GAUSSIAN, payoff)


@pytest.mark.parametrize(
    ("process", "payoff", "name", "low", "high", "allowed"),
    [
        (PLAIN, CONTINUOUS, "barrier", -1.0, 90.0, r"\[0, 1e\+15\]"),
        (PLAIN, CONTINUOUS, "volatility", -0.1, 0.3, r"\[0, 100\]"),
        (PLAIN, NOTE, "knock_in", -0.1, 0.7, r"\[0, 1e\+15\]"),
        (SURFACE, CONTINUOUS, "skew", -1.0, 0.0, r"\[-0.999, 0.999\]"),
    ],
)
def test_features_stay_within_their_own_bounds(
    process: Process, payoff: Payoff, name: str, low: float, high: float, allowed: str
) -> None:
    with pytest.raises(InvalidSpec, match=rf"features\[1\]: {name} must stay in {allowed}, got \[{low!r}, {high!r}\]"):
        problem_of(process, payoff, feature(name, low, high))


def test_only_bachelier_spots_may_be_negative() -> None:
    assert problem_of(GAUSSIAN, CONTINUOUS, spots=(-50.0, 150.0)).box.lower[0] == -50.0
    with pytest.raises(InvalidSpec, match=r"spot must stay in \[0, 1e\+15\], got \[-50.0, 150.0\]"):
        problem_of(PLAIN, CONTINUOUS, spots=(-50.0, 150.0))


@pytest.mark.parametrize("level", [-90.0, 0.0])
def test_a_barrier_that_positive_levels_never_touch(level: float) -> None:
    below = replace(CONTINUOUS, barrier=level)
    assert problem_of(GAUSSIAN, below, spots=(-50.0, 150.0)).payoff == below
    for process in (PLAIN, SURFACE):
        with pytest.raises(InvalidSpec, match=rf"payoff.barrier must be > 0 \(currency\), got {level!r}") as caught:
            problem_of(process, below)
        assert caught.value.fields["path"] == "payoff.barrier"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("maturity", "1.5", "Expected `float`, got `str` - at `maturity`"),
        ("maturity", -1.0, "maturity must be finite and >= 0"),
        ("maturity", float("inf"), "maturity must be finite"),
        ("tenor", 1.0, "unknown field `tenor`"),
        ("process.kind", "levy", "Invalid value 'levy'"),
        ("process.volatilities", [8.0, -1.0, 5.0], r"volatilities\[1\] must be >= 0 .* got -1.0"),
        ("process.volatilities", [8.0, float("nan"), 5.0], r"volatilities\[1\] must be finite"),
        ("process.volatilities", [], "give 1 to 1000 of them, got 0"),
        ("process.correlation", [[1.0, 0.3], [0.3, 1.0]], "must have 3 rows of 3 entries"),
        ("process.dividend_yields", [0.1], "give none or 3, got 1"),
        ("process.convention", "forward", "rate and dividend_yields need convention = 'carry'"),
        ("process.rate", float("nan"), "rate"),
        ("process.rate", -1e3, r"process.rate times maturity must be in \[-10, 10\], got -1000.0 per year"),
        ("process.dividend_yields", [0.0, 0.0, 1e3], r"process.dividend_yields times maturity must be in"),
        ("payoff.weights", [1.0, 1.0], r"one weight per asset \(3\), got 2"),
        ("payoff", RANKED, r"payoff.initial must have one level per asset \(3\), got 2"),
        ("payoff", AMERICAN, r"payoff.option.initial must have one level per asset \(3\), got 2"),
        ("payoff", BARRIER, "a barrier is on one asset, got a process of 3; give it one"),
        ("payoff.weights", [0.0, 0.0, 0.0], "must not all be zero"),
        ("payoff.strike", float("inf"), "strike"),
        ("features", [], r"'spot' must be one of them, got \[\]"),
        ("features", [{"name": "vol", "lower": [0.0], "upper": [1.0]}], r"'spot' must be one of them, got \['vol'\]"),
        (
            "features",
            [SPOT, {"name": "vol", "lower": [0.0], "upper": [1.0]}],
            "no parameter 'vol'; choose from spot, mat",
        ),
        ("features", [SPOT, {"name": "strike", "lower": [1.0, 1.0], "upper": [2.0, 2.0]}], "strike must have .* got 2"),
        (
            "features",
            [SPOT, {"name": "maturity", "lower": [-1.0], "upper": [2.0]}],
            r"maturity must stay in \[0, 1000\]",
        ),
        ("features", [SPOT, {"name": "correlation", "lower": [-0.9], "upper": [0.5]}], r"must stay in \[-0.5, 1\]"),
        ("features", [SPOT, CORRELATION, LOADING], "'correlation' or 'loading', not both"),
        ("features", [SPOT, {"name": "maturity", "lower": [0.1], "upper": [1e3]}], "process.rate times maturity"),
        ("features", [{"name": "spot", "lower": [0.0], "upper": [1.0]}], r"one coordinate per asset \(3\), got 1"),
    ],
)
def test_problems_that_make_no_sense(plain: dict[str, Any], path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(PricingProblem, changed(plain, path, value))


def test_a_rate_in_pieces_has_a_coordinate_for_each(plain: dict[str, Any]) -> None:
    pieces = changed(plain, "process.rate_pieces", [{"start": 0.5, "value": 0.01}, {"start": 0.8, "value": 0.02}])
    rate = {"name": "rate", "lower": [0.0], "upper": [0.1]}
    with pytest.raises(
        InvalidSpec, match=r"until the first of process.rate_pieces and one for each of them \(3\), got 1"
    ):
        load(PricingProblem, changed(pieces, "features", [SPOT, rate]))


def test_knots_have_a_coordinate_each(plain: dict[str, Any]) -> None:
    payoff = {"kind": "pieces", "weights": [0.5, 0.3, 0.2], "knots": [0.9, 1.1], "slopes": [0.0, 1.0, 0.0]}
    knot = {"name": "knot", "lower": [0.9], "upper": [1.1]}
    with pytest.raises(InvalidSpec, match=r"knot must have one coordinate per knot \(2\), got 1"):
        load(PricingProblem, changed(changed(plain, "payoff", payoff), "features", [SPOT, knot]))
