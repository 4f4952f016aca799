from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, dump, load
from pricing.specs.draws import Draws
from pricing.specs.estimator import Conditional, Pathwise, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import DiffusedSampler, FlowSpec, MoneynessSampler, TableSampler, UniformSampler

SPOT = {"name": "spot", "lower": [50.0] * 3, "upper": [150.0] * 3}
CORRELATION = {"name": "correlation", "lower": [0.0], "upper": [0.5]}
RANKED = {"kind": "worst_of", "initial": [1.0, 1.0], "strike": 1.0}
AMERICAN = {"kind": "bermudan", "option": RANKED, "dates": [1.0]}
BARRIER = {"kind": "barrier", "strike": 1.0, "barrier": 0.5, "direction": "down", "knock": "out"}
LOADING = {"name": "loading", "lower": [0.0] * 3, "upper": [0.5] * 3}


@pytest.fixture
def plain(long_short: PricingProblem) -> dict[str, Any]:
    return dump(long_short)


def changed(plain: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the entry at a dotted path replaced."""
    result = copy.deepcopy(plain)
    *parents, last = path.split(".")
    node: Any = result
    for key in parents:
        node = node[int(key) if isinstance(node, list | tuple) else key]
    node[last] = value
    return result


def test_problems_survive_json(problem: PricingProblem) -> None:
    assert load(PricingProblem, json.loads(json.dumps(dump(problem)))) == problem


@pytest.mark.parametrize(
    "spec",
    [
        LabelSpec(),
        LabelSpec(estimator=Pathwise(), order=1, sampler=DiffusedSampler(initial=(1.0, 2.0))),
        LabelSpec(estimator=Conditional(normal="last"), sampler=MoneynessSampler(bound=3.0)),
        LabelSpec(estimator=Smoothed(kernel="silu", width=0.025), sampler=UniformSampler()),
        LabelSpec(sampler=TableSampler(states=((0.1, 1.0 / 3.0), (2.0, 3.0)), flow=FlowSpec(sparsity=0.5))),
        LabelSpec(draws=Draws(source="antithetic", rotation="none", sharing="independent"), replicates=1),
    ],
)
def test_label_specs_survive_json(spec: LabelSpec) -> None:
    assert load(LabelSpec, json.loads(json.dumps(dump(spec)))) == spec


def test_specs_are_frozen(problem: PricingProblem) -> None:
    assert isinstance(problem, Spec)
    with pytest.raises(AttributeError, match="immutable"):
        problem.maturity = 2.0  # type: ignore[misc]


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
            r"maturity must stay in \[0, inf\]",
        ),
        ("features", [SPOT, {"name": "correlation", "lower": [-0.9], "upper": [0.5]}], r"must stay in \[-0.5, 1\]"),
        ("features", [SPOT, CORRELATION, LOADING], "'correlation' or 'loading', not both"),
        ("features", [SPOT, {"name": "maturity", "lower": [0.1], "upper": [1e4]}], "process.rate times maturity"),
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


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("samples", 100, "samples must be a power of two"),
        ("samples", 0, "samples must be a power of two"),
        ("paths", 1 << 25, "paths must be a power of two from 1 to 16777216"),
        ("replicates", 0, "replicates must be 1 to 64"),
        ("replicates", 65, "replicates must be 1 to 64"),
        ("order", 3, "Invalid enum value 3"),
        ("directions", 0, "directions must be at least 1"),
        ("estimator", {"kind": "pathwise"}, "order = 2 needs a smooth estimator"),
        ("estimator", {"kind": "smoothed", "width": 1.5}, "width must be 0"),
        ("estimator", {"kind": "smoothed", "gamma_bias": 0.0}, "gamma_bias must be in"),
        ("estimator", {"kind": "smoothed", "kernel": "relu"}, "Invalid enum value 'relu'"),
        ("estimator", {"kind": "bridge", "steps": 0}, r"steps must be in \[1, 4096\], got 0"),
        ("estimator", {"kind": "frozen", "degree": 9}, r"degree must be in \[1, 8\], got 9"),
        ("estimator", {"kind": "frozen", "paths": 100}, "paths must be a power of two from 1 to 16777216, got 100"),
        ("estimator", {"kind": "frozen", "width": -0.1}, r"width must be in \[0, 1\], got -0.1"),
        ("estimator", {"kind": "magic"}, "Invalid value 'magic'"),
        ("draws.pilot", 3, "pilot must be a power of two"),
        ("draws", {"sharing": "shifted", "source": "pseudo"}, "needs source = 'sobol'"),
        ("sampler", {"kind": "diffused", "initial": [1.0], "horizon": 0.0}, "horizon must be positive"),
        ("sampler", {"kind": "diffused"}, "missing required field `initial`"),
        ("sampler", {"kind": "moneyness", "bound": -1.0}, "bound must be positive"),
        ("sampler", {"kind": "table", "states": [[1.0], [2.0]], "flow": {"hidden": []}}, "hidden must be in"),
        ("sampler", {"kind": "table", "states": [[1.0], [2.0]], "flow": {"steps": 0}}, "steps must be in"),
        (
            "sampler",
            {"kind": "table", "states": [[1.0], [2.0]], "flow": {"epochs": 1001, "steps": 100}},
            "epochs times steps must be at most 100000, got 100100",
        ),
        ("sampler", {"kind": "table", "states": [[1.0]]}, "give 2 to 20000 rows, got 1 - at `sampler.states`"),
    ],
)
def test_label_specs_that_make_no_sense(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(LabelSpec, changed(dump(LabelSpec()), path, value))


def test_more_payoffs_than_hours_have_room_for_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"must be at most \d+, got 35184372088832"):
        LabelSpec(samples=1 << 21, paths=1 << 24, replicates=1)


def test_antithetic_needs_a_pair() -> None:
    with pytest.raises(InvalidSpec, match="at least 2 for antithetic"):
        LabelSpec(paths=1, draws=Draws(source="antithetic"))


def test_direct_construction_validates_too() -> None:
    with pytest.raises(InvalidSpec, match="bound must be positive"):
        MoneynessSampler(bound=0.0)
    with pytest.raises(InvalidSpec, match="pilot"):
        msgspec.structs.replace(Draws(), pilot=0)
