from __future__ import annotations

import msgspec
import pytest
import torch

from pricing.case_study import random_market
from pricing.errors import InvalidSpec
from pricing.estimators.contribute import contribution
from pricing.labels import Labels, make_labels
from pricing.specs.draws import Draws
from pricing.specs.estimator import Pathwise
from pricing.specs.european import Call, Digital, Put
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from tests.pricing.cases import feature, problem_of

BASKET = random_market(3, seed=1)
PAYOFFS = (
    Call(weights=BASKET.weights, strike=1.0),
    Put(weights=BASKET.weights, strike=1.0),
    Asian(weights=BASKET.weights, strike=1.0, dates=(0.25, 0.5, 0.75)),
)
SPEC = LabelSpec(paths=512, replicates=32, order=1, draws=Draws(source="pseudo", rotation="none"), estimator=Pathwise())


def three(payoff: Payoff) -> PricingProblem:
    process = BlackScholes(volatilities=BASKET.volatilities, correlation=BASKET.correlation, rate=0.03)
    others = (feature("volatility", 0.1, 0.5, size=3), feature("maturity", 0.5, 2.0), feature("rate", 0.0, 0.1))
    return problem_of(process, payoff, *others, spots=(0.7, 1.3))


def labels(problem: PricingProblem, control: str, seed: int) -> Labels:
    estimator = msgspec.convert({"control": control, "kind": "pathwise"}, Pathwise)
    x = torch.from_numpy(problem.box.from_uniforms(torch.linspace(0.3, 0.6, 32).reshape(4, 8).double().numpy()))
    return make_labels(problem, x, msgspec.structs.replace(SPEC, estimator=estimator), seed=seed)


@pytest.mark.parametrize("payoff", PAYOFFS)
def test_control_changes_the_noise_and_nothing_else(payoff: Payoff) -> None:
    plain, controlled = labels(three(payoff), "none", 1), labels(three(payoff), "geometric", 2)
    for name in ("value", "gradient"):
        errors = [getattr(given, f"{name}_error") for given in (plain, controlled)]
        distance = (getattr(plain, name) - getattr(controlled, name)).abs() / (errors[0] ** 2 + errors[1] ** 2).sqrt()
        assert float(distance.max()) < 4.5, name
        assert float(errors[1].square().mean()) < 0.7 * float(errors[0].square().mean()), name


def test_control_of_another_payoff_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="control = 'geometric' needs"):
        contribution(three(Digital(weights=BASKET.weights, strike=1.0)), Pathwise(control="geometric"), seed=0)


def test_no_time_left() -> None:
    problem = three(PAYOFFS[0])
    x = torch.tensor([[1.2, 1.2, 1.2, 0.2, 0.2, 0.2, 0.0, 0.03]], dtype=torch.float64)
    spec = msgspec.structs.replace(SPEC, estimator=Pathwise(control="geometric"), paths=4)
    assert float(make_labels(problem, x, spec, seed=0).value) == pytest.approx(1.2 * sum(BASKET.weights) - 1.0)
