"""Which outputs a version has beside those of its graph, by its features and what it prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.inference.derived import IMPLIED, NAMES, Further, read_further
from pricing.domain import Box, Feature
from pricing.specs.base import dump
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston
from surrogate.greeks import CROSS
from tests.conformance.products import PAYOFFS, PROCESSES

GRAPH = ("value", "delta", "gamma")


def box(**sizes: int) -> Box:
    return Box(features=tuple(Feature(name=n, lower=(0.1,) * k, upper=(0.5,) * k) for n, k in sizes.items()))


def heston(*names: str) -> PricingProblem:
    process = Heston(
        initial_variances=(0.04, 0.09),
        mean_reversions=(1.0, 1.0),
        long_variances=(0.04, 0.04),
        variance_volatilities=(0.3, 0.3),
        spot_variance_correlations=(-0.5, -0.5),
        correlation=((1.0, 0.5), (0.5, 1.0)),
    )
    spot = Feature(name="spot", lower=(80.0, 80.0), upper=(120.0, 120.0))
    others = [Feature(name=name, lower=(0.02, 0.02), upper=(0.1, 0.1)) for name in names]
    return PricingProblem(
        process=process, payoff=Call(weights=(0.5, 0.5), strike=100.0), maturity=1.0, features=(spot, *others)
    )


def test_names_are_those_of_the_features() -> None:
    assert set(NAMES) == {*CROSS, IMPLIED}
    assert list(Further(box=box(spot=2), outputs=GRAPH).units) == []
    assert list(Further(box=box(spot=2, volatility=2), outputs=(*GRAPH, "vega")).units) == ["vanna", "volga"]
    scaled = Further(box=box(spot=2, volatility_scale=1, maturity=1), outputs=(*GRAPH, "volatility_scale", "theta"))
    assert list(scaled.units) == ["vega", "vanna", "volga", "charm", "veta"]
    assert scaled.units["charm"] == "currency per unit per unit"
    for name in scaled.units:
        assert scaled.find(name).unit == scaled.units[name]


def test_vega_of_a_heston_model_is_by_its_initial_variance_and_says_so() -> None:
    problem = heston("initial_variance")
    further = read_further({"problem": dump(problem)}, problem.box, (*GRAPH, "initial_variance"))
    assert further.units == {
        "vega": "currency per 1.00 of initial_variance",
        "vanna": "currency per currency per 1.00 of initial_variance",
        "volga": "currency per 1.00 of initial_variance squared",
        "implied_volatility": "1 / sqrt(year)",
    }
    delta, gamma = np.arange(8.0).reshape(2, 4), np.arange(32.0).reshape(2, 4, 4)
    features = np.full((2, 4), 0.05)
    vega, vanna = further.find("vega"), further.find("vanna")
    np.testing.assert_array_equal(vega.make(delta, features)["vega"], delta[:, 2:])
    np.testing.assert_array_equal(vanna.make(gamma, features)["vanna"], gamma[:, :2, 2:])
    assert (vega.source, vega.size, vega.labels) == ("delta", 2, ("initial_variance[0]", "initial_variance[1]"))
    assert (vanna.source, vanna.size) == ("gamma", 4)
    assert vanna.labels[1] == "spot[0] initial_variance[1]"


def test_the_way_to_a_name_is_one_that_the_problem_has() -> None:
    problem = heston()
    further = read_further({"problem": dump(problem)}, problem.box, GRAPH)
    with pytest.raises(InvalidRequest, match=r"it has spot; build it with volatility_scale among problem\.features"):
        further.find("vanna")
    with pytest.raises(InvalidRequest, match=r"from value, delta, gamma, implied_volatility and gamma\.FEATURE\.FEAT"):
        further.find("nothing")


@pytest.mark.parametrize("payoff", PAYOFFS, ids=repr)
def test_implied_volatility_is_there_or_refused_with_the_reason(payoff: Any) -> None:
    process = next(one for one in PROCESSES if one.facts.positive and one.assets == payoff.assets)
    spot = Feature(name="spot", lower=(80.0,) * payoff.assets, upper=(120.0,) * payoff.assets)
    problem = PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spot,))
    further = read_further({"problem": dump(problem)}, problem.box, GRAPH)
    assert (IMPLIED in further.units) == payoff.facts.vanilla
    if payoff.facts.vanilla:
        assert further.find(IMPLIED).keys == (IMPLIED, f"{IMPLIED}_error", f"{IMPLIED}_reason")
    else:
        with pytest.raises(InvalidRequest, match="implied_volatility: only a call or put on a basket"):
            further.find(IMPLIED)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ({}, "the labels were imported"),
        ({"problem": None}, "the labels were imported"),
        ({"provenance": {"build": {"dataset": {}}}}, "the labels were imported"),
        ({"problem": {"process": {"kind": "of tomorrow"}}}, "this release does not know what the model prices"),
    ],
)
def test_without_a_problem_that_is_understood_there_is_none(manifest: dict[str, Any], reason: str) -> None:
    further = read_further(manifest, box(spot=1, maturity=1), GRAPH)
    with pytest.raises(InvalidRequest, match=reason):
        further.find(IMPLIED)
    assert further.find("charm").size == 1  # of features with these names, whatever is priced


def test_the_problem_of_an_earlier_release_is_in_its_build() -> None:
    problem = heston()
    assert read_further({"provenance": {"build": {"problem": dump(problem)}}}, problem.box, GRAPH).problem == problem


def test_an_error_beside_an_implied_volatility_is_that_of_the_value_over_vega() -> None:
    problem = heston()
    x = np.full((2, 2), 100.0)
    for error in (None, 1e-3):
        manifest = {"problem": dump(problem), "accuracy": {"value": {"rmse": error}}}
        made = read_further(manifest, problem.box, GRAPH).find(IMPLIED).make(np.array([8.0, -1.0]), x)
        volatility, off = np.asarray(made[IMPLIED]), np.asarray(made[f"{IMPLIED}_error"])
        assert np.isnan(volatility).tolist() == [False, True]
        assert np.isnan(off).tolist() == [error is None, True]
        if error is not None:
            higher = read_further(manifest, problem.box, GRAPH).find(IMPLIED).make(np.array([8.0 + error, 9.0]), x)
            np.testing.assert_allclose(off[0], np.asarray(higher[IMPLIED])[0] - volatility[0], rtol=1e-3)
