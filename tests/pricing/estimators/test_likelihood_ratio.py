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
from pricing.specs.payoff import Asian, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from tests.pricing.cases import CALL, DATED, PAIR, PLAIN, STOCHASTIC, feature, problem_of

WEIGHTS = (0.4, 0.6)
PAYOFFS: dict[str, Payoff] = {
    "call": Call(weights=WEIGHTS, strike=1.0),
    "digital": Digital(weights=WEIGHTS, strike=1.0),
    "worst_of": WorstOf(initial=(1.0, 1.0), strike=1.0, side="put"),
    "asian": Asian(weights=WEIGHTS, strike=1.0, dates=(0.3, 0.6, 1.0)),
}
# Everything that moves the density.
FEATURES = (
    feature("maturity", 0.5, 1.5),
    feature("volatility", 0.1, 0.4, size=2),
    feature("rate", 0.0, 0.1),
    feature("correlation", 0.0, 0.5),
)


def two(payoff: Payoff, kind: type[Bachelier | BlackScholes], *others: Feature) -> PricingProblem:
    shared: dict[str, Any] = {"convention": "carry"} if kind is Bachelier else {}
    process = kind(volatilities=(0.2, 0.3), correlation=PAIR, rate=0.03, **shared)
    return problem_of(process, payoff, *FEATURES, *others, spots=(0.8, 1.2))


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
    ("problem", "reason"),
    [
        (two(Bermudan(option=Call(weights=WEIGHTS, strike=1.0), dates=(0.5, 1.0)), BlackScholes), "at given dates"),
        (two(PAYOFFS["call"], BlackScholes, feature("strike", 0.9, 1.1)), "'strike'"),
        (problem_of(STOCHASTIC, CALL), "density of the path that is known"),
    ],
)
def test_what_the_density_does_not_know_is_refused(problem: PricingProblem, reason: str) -> None:
    with pytest.raises(InvalidSpec, match=reason):
        contribution(problem, LikelihoodRatio(scope="full"), seed=0)


def test_the_density_of_the_last_step_knows_no_jump_before_it() -> None:
    with pytest.raises(InvalidSpec, match="scope 'last'"):
        contribution(problem_of(PLAIN, DATED), LikelihoodRatio(scope="last"), seed=0)


@pytest.mark.parametrize("changes", [{"volatility": 0.0}, {"maturity": 0.0}, {"spot": 0.0}])
def test_no_randomness_has_no_density(changes: dict[str, float]) -> None:
    problem = two(PAYOFFS["call"], BlackScholes)
    x = features(problem)
    for name, value in changes.items():
        x[0, problem.box.columns(name)] = value
    with pytest.raises(InvalidSpec, match="has no density where"):
        make_labels(problem, x, LabelSpec(paths=4, estimator=LikelihoodRatio(), draws=Draws(rotation="none")), seed=0)
