from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.estimators.contribute import contribution
from pricing.labels import make_labels
from pricing.specs.draws import Draws
from pricing.specs.estimator import LikelihoodRatio
from pricing.specs.european import Call, Digital, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston

WEIGHTS = (0.4, 0.6)
PAYOFFS: dict[str, Payoff] = {
    "call": Call(weights=WEIGHTS, strike=1.0),
    "digital": Digital(weights=WEIGHTS, strike=1.0),
    "worst_of": WorstOf(initial=(1.0, 1.0), strike=1.0, side="put"),
    "asian": Asian(weights=WEIGHTS, strike=1.0, dates=(0.3, 0.6, 1.0)),
}
# Everything that moves the density.
FEATURES = (
    Feature(name="spot", lower=(0.8, 0.8), upper=(1.2, 1.2)),
    Feature(name="maturity", lower=(0.5,), upper=(1.5,)),
    Feature(name="volatility", lower=(0.1, 0.1), upper=(0.4, 0.4)),
    Feature(name="rate", lower=(0.0,), upper=(0.1,)),
    Feature(name="correlation", lower=(0.0,), upper=(0.5,)),
)


def two(payoff: Payoff, kind: type[Bachelier | BlackScholes]) -> PricingProblem:
    shared: dict[str, Any] = {"convention": "carry"} if kind is Bachelier else {}
    process = kind(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0)), rate=0.03, **shared)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=FEATURES)


def features(problem: PricingProblem) -> Tensor:
    return torch.from_numpy(problem.box.from_uniforms(np.random.default_rng(0).random((3, problem.box.dimension))))


@pytest.mark.parametrize("kind", [Bachelier, BlackScholes])
@pytest.mark.parametrize("name", PAYOFFS)
@pytest.mark.parametrize("scope", ["full", "last"])
def test_within_standard_errors_of_the_conditional_labels(
    kind: type[Bachelier | BlackScholes], name: str, scope: Literal["full", "last"]
) -> None:
    """Value, every first and second derivative, of payoffs with kinks and jumps."""
    problem = two(PAYOFFS[name], kind)
    order: Literal[1, 2] = 1 if (name, scope) == ("asian", "last") else 2
    spec = LabelSpec(paths=1024, replicates=16, order=order, direction_law="random", draws=Draws(source="antithetic"))
    ratio = make_labels(
        problem, features(problem), msgspec.structs.replace(spec, estimator=LikelihoodRatio(scope=scope)), seed=3
    )
    exact = make_labels(problem, features(problem), msgspec.structs.replace(spec, draws=Draws()), seed=3)
    for label in ("value", "gradient", "curvature")[: order + 1]:
        error = (getattr(ratio, f"{label}_error").square() + getattr(exact, f"{label}_error").square()).sqrt()
        assert float(((getattr(ratio, label) - getattr(exact, label)).abs() / error).max()) < 5.0, label


def test_baseline_leaves_certain_cash_without_variance() -> None:
    """A digital that nearly always pays: cash less the baseline is 0 on nearly every path."""
    problem = two(Digital(weights=WEIGHTS, strike=0.2), BlackScholes)
    spec = LabelSpec(paths=64, replicates=4, order=1, estimator=LikelihoodRatio())
    labels = make_labels(problem, features(problem), spec, seed=0)
    assert labels.gradient is not None
    assert float(labels.gradient[:, :2].abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("changes", "scope", "reason"),
    [
        ({"payoff": Bermudan(option=Call(weights=WEIGHTS, strike=1.0), dates=(0.5, 1.0))}, "full", "at given dates"),
        ({"features": (*FEATURES, Feature(name="strike", lower=(0.9,), upper=(1.1,)))}, "full", "'strike'"),
    ],
)
def test_what_the_density_does_not_know_is_refused(
    changes: dict[str, object], scope: Literal["full", "last"], reason: str
) -> None:
    problem = msgspec.structs.replace(two(Call(weights=WEIGHTS, strike=1.0), BlackScholes), **changes)
    with pytest.raises(InvalidSpec, match=reason):
        contribution(problem, LikelihoodRatio(scope=scope), seed=0)


def test_processes_without_a_known_density_are_refused() -> None:
    process = Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.0,),
        long_variances=(0.04,),
        variance_volatilities=(0.5,),
        spot_variance_correlations=(-0.5,),
        correlation=((1.0,),),
    )
    spot = (Feature(name="spot", lower=(0.8,), upper=(1.2,)),)
    heston = PricingProblem(process=process, payoff=Call(weights=(1.0,), strike=1.0), maturity=1.0, features=spot)
    with pytest.raises(InvalidSpec, match="density of the path that is known"):
        contribution(heston, LikelihoodRatio(), seed=0)
    barrier = Barrier(strike=1.0, barrier=0.8, direction="down", knock="out", dates=(0.5, 1.0))
    black = msgspec.structs.replace(
        heston, process=BlackScholes(volatilities=(0.2,), correlation=((1.0,),)), payoff=barrier
    )
    with pytest.raises(InvalidSpec, match="scope 'last'"):
        contribution(black, LikelihoodRatio(scope="last"), seed=0)


@pytest.mark.parametrize("changes", [{"volatility": 0.0}, {"maturity": 0.0}, {"spot": 0.0}])
def test_no_randomness_has_no_density(changes: dict[str, float]) -> None:
    problem = two(PAYOFFS["call"], BlackScholes)
    x = features(problem)
    for name, value in changes.items():
        x[0, problem.box.columns(name)] = value
    with pytest.raises(InvalidSpec, match="has no density where"):
        make_labels(problem, x, LabelSpec(paths=4, estimator=LikelihoodRatio(), draws=Draws(rotation="none")), seed=0)
