"""The conformance suite of products rejects products whose facts are false, and takes an honest newcomer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.estimators import direct
from pricing.processes import merton
from pricing.references import reference, resimulated
from pricing.references.methods import Method
from pricing.simulation import payoffs
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario
from pricing.specs.estimator import Automatic, Pathwise
from pricing.specs.european import BasketPayoff, Call, Digital, WorstOf
from pricing.specs.facts import PayoffFacts
from pricing.specs.parameters import PARAMETERS
from pricing.specs.payoff import Asian, Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process
from pricing.specs.schedule import Dividend
from surrogate.export import onnx_writer
from surrogate.reductions import geometric
from surrogate.reductions.choice import reduce
from tests.conformance import laws, payoff_facts, process_facts, scaling
from tests.conformance.estimates import (
    LEVEL,
    check_agreement,
    check_choice,
    check_derivatives,
    check_sentence,
    problem,
    quick,
)
from tests.conformance.products import EARLY, ESTIMATORS, ONE, PROCESSES, QUARTERS, TWO, check_members
from tests.conformance.scaling import check_greeks, check_reduction
from tests.conformance.walks import levels


def claiming(spec: Any, **false: object) -> Any:
    """The same product with other facts than it has."""
    facts, leaf = dataclasses.replace(spec.facts, **false), type(spec)
    meta: Any = type(leaf)
    liar = meta("Liar", (leaf,), {"facts": property(lambda _: facts)}, frozen=True, kw_only=True, tag="liar")
    return liar(**{name: getattr(spec, name) for name in leaf.__struct_fields__})


class Power(BasketPayoff, frozen=True, kw_only=True, tag="power"):
    """Pays max((w . S_T)^2 - K, 0)."""

    @property
    def facts(self) -> PayoffFacts:
        plain: PayoffFacts = Call(weights=self.weights, strike=self.strike).facts
        return dataclasses.replace(
            plain, degree=None, levels=(), vanilla=False, unintegrated="integrates no powers of an asset"
        )


@pytest.fixture
def powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as it is where somebody has added `Power`."""
    sharp, event = payoffs.cash, payoffs.moneyness

    def moneyness(
        payoff: Any, paths: Paths, at: Scenario, edges: payoffs.Edges = payoffs.SHARP, *, date: int = -1
    ) -> Tensor:
        if isinstance(payoff, Power):
            return paths.basket(payoff.weights, date).square() - at.scalar("strike")
        return event(payoff, paths, at, edges, date=date)

    def cash(payoff: Any, paths: Paths, at: Scenario, edges: payoffs.Edges = payoffs.SHARP) -> Tensor:
        if isinstance(payoff, Power):
            return edges.ramp(moneyness(payoff, paths, at, edges))
        return sharp(payoff, paths, at, edges)

    def method(asked: PricingProblem) -> Method:
        return resimulated.method(asked) if isinstance(asked.payoff, Power) else known(asked)

    known = reference.method
    for of_reference in (reference, scaling):
        monkeypatch.setattr(of_reference, "method", method)
    for module in (payoffs, direct):
        monkeypatch.setattr(module, "cash", cash)
        monkeypatch.setattr(module, "moneyness", moneyness)
    monkeypatch.setattr(geometric, "with_levels", lambda payoff, levels: replace(payoff, strike=levels["strike"][0]))


SINGLE = BlackScholes(volatilities=(0.2,), correlation=ONE, rate=0.03)
PAIR = BlackScholes(volatilities=(0.2, 0.3), correlation=TWO)
CARRIED = Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry", rate=0.08)
STOCHASTIC = next(process for process in PROCESSES if isinstance(process, Heston))
LOCAL = next(process for process in PROCESSES if isinstance(process, LocalVolatility))
JUMPING = next(process for process in PROCESSES if process.facts.by_law)
PAYING = next(process for process in PROCESSES if process.facts.pays_cash)
SHARING = replace(SINGLE, dividends=(Dividend(time=0.4, proportion=0.03),))
POWER: Any = Power(weights=(1.0,), strike=1e4)
BASKET, DIGITAL = Call(weights=(0.5, 0.5), strike=100.0), Digital(weights=(1.0,), strike=100.0)
DATED = Barrier(strike=100.0, barrier=120.0, direction="up", knock="out", dates=(0.5, 1.0))
AVERAGE = Asian(weights=(1.0,), strike=100.0, dates=QUARTERS)
WORST = WorstOf(initial=(100.0, 100.0), strike=1.0)


@pytest.mark.usefixtures("powers")
def test_a_power_option_that_states_its_facts_is_taken() -> None:
    for check in (known for known in payoff_facts.CHECKS if known not in UNREAD):
        check(POWER)
    asked = problem(SINGLE, POWER)
    check_choice(asked, ESTIMATORS)
    check_agreement(asked, quick(asked, Automatic()))
    check_reduction(asked)
    assert reduce(asked) is None


# What reads a payoff from plain data or replaces its parameters, which is written for the members of the union.
UNREAD = (payoff_facts.check_statement, payoff_facts.check_parameters)


@pytest.mark.usefixtures("powers")
def test_a_power_option_that_claims_to_scale_is_caught_twice() -> None:
    false = claiming(POWER, degree=1, levels=("strike",))
    with pytest.raises(AssertionError, match="degree = 1, but cash does not scale so"):
        payoff_facts.check_degree(false)
    assert reduce(problem(SINGLE, false)) is not None
    with pytest.raises(AssertionError, match="scaled: the value is"):
        check_reduction(problem(SINGLE, false))


@pytest.mark.parametrize(
    ("payoff", "false", "check", "message"),
    [
        (AVERAGE, {"decided": "maturity"}, "dates", "depends on dates before the maturity"),
        (AVERAGE, {"decided": "dates", "last_look": 0.5}, "dates", "levels after last_look"),
        (replace(AVERAGE, dates=EARLY), {"last_look": 1.0}, "dates", "last_look = 1.0 does not move cash"),
        (DATED, {"decided": "average"}, "dates", "single dates decide|order of the dates"),
        (BASKET, {"decided": "dates", "dates": (0.5, 1.0)}, "dates", "the maturity alone decides"),
        (BASKET, {"dates": (0.5,)}, "dates", "dates must end with 1"),
        (DIGITAL, {"jumps": False}, "jumps", "jumps = False, but the largest jump"),
        (BASKET, {"jumps": True}, "jumps", "jumps = True, but the largest jump"),
        (DIGITAL, {"flat": False}, "jumps", "cash never moves"),
        (BASKET, {"flat": True}, "jumps", "cash also moves"),
        (DATED, {"levels": ("strike",)}, "degree", "does not scale so"),
        (DIGITAL, {"degree": 1}, "degree", "degree = 1"),
        (BASKET, {"degree": None}, "degree", "degree = None, but cash scales"),
        (BASKET, {"ranked": True}, "ranking", "several assets move it"),
        (WORST, {"ranked": False}, "ranking", "one asset moves it"),
        (BASKET, {"weights": (0.9, 0.1)}, "weights", "more than the basket"),
        (WORST, {"weights": (0.5, 0.5)}, "weights", "more than the basket"),
        (WORST, {"vanilla": True}, "vanilla", "vanilla without weights"),
        (DIGITAL, {"vanilla": True}, "vanilla", "not vanilla"),
        (replace(AVERAGE, average="geometric"), {"positive_levels": None}, "fields", "not finite"),
        (BASKET, {"sized_by": None}, "fields", "payoffs on one asset"),
        (DATED, {"unintegrated": ""}, "fields", "a reason in words"),
    ],
)
def test_a_false_fact_of_a_payoff_is_caught(payoff: Payoff, false: dict[str, Any], check: str, message: str) -> None:
    checks = {known.__name__: known for known in payoff_facts.CHECKS}
    checks[f"check_{check}"](payoff)
    with pytest.raises(AssertionError, match=message):
        checks[f"check_{check}"](claiming(payoff, **false))


@pytest.mark.parametrize(
    ("process", "false", "check", "message"),
    [
        (SINGLE, {"law": "additive"}, "law", "law = 'additive', but paths are 'multiplicative'"),
        (SHARING, {"dividends": ()}, "forward", "their carry and 0 dividends"),
        (PAYING, {"unaffine": None}, "affinity", "not affine in their dates"),
        (SINGLE, {"unaffine": "steps of another kind"}, "affinity", "the levels are affine"),
        (LOCAL, {"opened": "every step"}, "opening", "not such that one can be integrated"),
        (STOCHASTIC, {"random_variance": False}, "slopes", "slopes are not alike"),
        (SINGLE, {"random_variance": True}, "slopes", "slopes are alike"),
        (STOCHASTIC, {"shared_noise": True}, "slopes", "shared_noise, but"),
        (CARRIED, {"level_noise": True}, "units", "levels in another one are not its multiple"),
        (SINGLE, {"bridge": "own steps"}, "bridge", "there is no grid"),
        (LOCAL, {"level_noise": False}, "level_noise", "level_noise = False is wrong"),
        (STOCHASTIC, {"independent_increments": True}, "increments", "what moved S_k moves S_t / S_k"),
        (LOCAL, {"independent_increments": True}, "increments", "depends on the spot"),
        (replace(SINGLE, volatilities=(0.0,)), {"randomness": ()}, "randomness", "paths are not random"),
        (SINGLE, {"randomness": ("volatility", "rate")}, "randomness", "rate in randomness makes nothing random"),
        (SINGLE, {"by_law": ("volatility",)}, "jumps_in_parameters", "levels do not jump in it"),
        (STOCHASTIC, {"randomness": ("long_variance",)}, "randomness", "paths are random although"),
        (STOCHASTIC, {"lognormal": True}, "lognormal", "ln S is no Gaussian"),
        (CARRIED, {"bridge": "exact"}, "bridge", "is not straight to it"),
        (LOCAL, {"bridge": "straight"}, "bridge", "steps are not Gaussian"),
        (LOCAL, {"grid": None}, "grid", "grid is the field `steps`"),
        (LOCAL, {"density": True}, "density", "hangs on several normals"),
        (replace(LOCAL, steps=1), {"density": True}, "density", "ln p has other derivatives"),
        (SINGLE, {"constant": {"speed": "nobody sells it"}}, "statement", "is no parameter of a"),
    ],
)
def test_a_false_fact_of_a_process_is_caught(process: Process, false: dict[str, Any], check: str, message: str) -> None:
    checks = {known.__name__: known for known in process_facts.CHECKS}
    with pytest.raises(AssertionError, match=message):
        checks[f"check_{check}"](claiming(process, **false))


def test_facts_that_estimators_rely_on_are_caught_by_their_labels() -> None:
    jumps = claiming(DIGITAL, jumps=False)
    with pytest.raises(AssertionError, match="the derivative by"):
        check_agreement(problem(SINGLE, jumps), Pathwise())
    with pytest.raises(AssertionError, match="tensors: a path keeps"):
        check_derivatives(
            problem(claiming(SINGLE, tensors=1), AVERAGE), quick(problem(SINGLE, AVERAGE), Automatic()), 2
        )
    with pytest.raises(AssertionError, match="scaled: "):
        check_reduction(problem(claiming(LOCAL, unscaled=None), AVERAGE))


def test_a_law_without_its_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    laws.check_derivatives_by_law(JUMPING)
    monkeypatch.setattr(merton, "likelihood", lambda jumps, mean: torch.ones_like(mean[..., 0]))
    with pytest.raises(AssertionError, match="the derivative of a mean by jump_intensity is"):
        laws.check_derivatives_by_law(JUMPING)


def test_a_drift_from_date_to_date_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels at every date have the right mean, and yet those that start high go on to rise."""
    laws.check_martingale(SINGLE)
    honest = levels

    def drifting(paths: Paths) -> Tensor:
        plain = honest(paths).clone()
        plain[:, :, 1] += 0.1 * (plain[:, :, 0] - plain[:, :, 0].mean())
        return plain

    monkeypatch.setattr(laws, "levels", drifting)
    with pytest.raises(AssertionError, match="do not grow by the carry alone"):
        laws.check_martingale(SINGLE)


def test_a_parameter_that_may_not_vary_is_no_feature() -> None:
    still = claiming(SINGLE, constant={"rate": "the desk has one"})
    assert "rate" not in [feature.name for feature in problem(still, BASKET_OF_ONE).features]
    rate = next(feature for feature in problem(SINGLE, BASKET_OF_ONE).features if feature.name == "rate")
    with pytest.raises(InvalidSpec, match="rate may not vary, because the desk has one") as caught:
        replace(
            problem(still, BASKET_OF_ONE, varying="spots"), features=(*problem(still, BASKET_OF_ONE).features, rate)
        )
    check_sentence(caught.value, features=(*problem(still, BASKET_OF_ONE).features, rate))


BASKET_OF_ONE = Call(weights=(1.0,), strike=100.0)


def test_facts_that_are_inherited_or_left_out_are_caught() -> None:
    class Silent(Call, frozen=True, kw_only=True, tag="silent"):
        """A leaf without facts of its own."""

    with pytest.raises(AssertionError, match="Silent inherits its facts"):
        payoff_facts.check_statement(Silent(weights=(1.0,), strike=100.0))
    with pytest.raises(AssertionError, match="is also a Digital, whose case of a match would take it"):
        payoff_facts.check_statement(claiming(DIGITAL))
    with pytest.raises(AssertionError, match=r"add instances of .*Call, .* to PAYOFFS"):
        check_members("PAYOFFS", Payoff, (AVERAGE, DIGITAL))
    given = dataclasses.asdict(DIGITAL.facts)
    del given["jumps"]
    with pytest.raises(TypeError, match="'jumps'"):
        PayoffFacts(**given)


def test_cash_that_does_not_look_at_the_scenario_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = payoffs.cash

    def own(payoff: Any, paths: Paths, at: Scenario, edges: payoffs.Edges = payoffs.SHARP) -> Tensor:
        strike = torch.tensor([[[payoff.strike]]], dtype=torch.float64)
        return honest(payoff, paths, Scenario(parameters={**at.parameters, "strike": strike}), edges)

    monkeypatch.setattr(payoffs, "cash", own)
    with pytest.raises(AssertionError, match="cash takes strike from the payoff, not from `at`"):
        payoff_facts.check_parameters(BASKET)


def test_kinks_and_jumps_outside_of_the_edges_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their values and slopes may be right, and their curvature misses them."""
    monkeypatch.setattr(
        payoffs, "cash", lambda payoff, paths, at, _=None: torch.relu(payoffs.moneyness(payoff, paths, at))
    )
    with pytest.raises(AssertionError, match=r"a kink outside of edges\.ramp"):
        payoff_facts.check_smoothing(BASKET)
    monkeypatch.setattr(payoffs, "cash", lambda payoff, paths, at, _=None: (paths.basket((1.0,)) > LEVEL).double())
    with pytest.raises(AssertionError, match=r"jumps outside of edges\.step"):
        payoff_facts.check_smoothing(DIGITAL)


def test_a_gradient_that_misses_a_jump_is_caught() -> None:
    jumps = claiming(DIGITAL, jumps=False)
    with pytest.raises(AssertionError, match="along a segment a derivative integrates to"):
        check_derivatives(problem(SINGLE, jumps), Pathwise(), 1)


@pytest.mark.parametrize(("name", "role"), [("volatility", "none"), ("rate", "step"), ("maturity", "none")])
def test_a_false_role_of_a_parameter_is_caught(name: str, role: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARAMETERS, name, dataclasses.replace(PARAMETERS[name], noise=role))
    with pytest.raises(AssertionError, match=f"of {name}, but paths say otherwise"):
        process_facts.check_noise(SINGLE)


def test_a_greek_of_the_wrong_sign_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "_add_greek", partial(reversed_named, onnx_writer._add_greek))
    with pytest.raises(AssertionError, match="theta of the graph is"):
        check_greeks(problem(SINGLE, BASKET_OF_ONE), reduction=None)


def reversed_named(named: Callable[..., None], graph: object, greek: Any) -> None:
    """A graph whose theta is the derivative by the maturity."""
    named(graph, dataclasses.replace(greek, sign=1.0))
