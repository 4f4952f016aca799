"""A barrier inside the Box: dead is dead exactly, the living side is as it was, and every Greek with it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnxruntime
import pytest
import torch
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.references.black_scholes import barrier
from pricing.references.reference import reference
from pricing.simulation.scenario import scenario
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from surrogate.dataset import Dataset
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import value
from surrogate.reductions.alive import distance, living, with_the_dead
from surrogate.reductions.choice import reduce
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import Reduction, derivatives, from_features, to_canonical
from tests.conformance.scaling import check_greeks, network_for

PROCESS = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.02)
DOWN = Barrier(strike=100.0, barrier=120.0, direction="down", knock="out")
UP = Barrier(strike=140.0, barrier=160.0, direction="up", knock="out", side="put")
MATURITY = Feature(name="maturity", lower=(0.2,), upper=(2.0,))
LEVEL = Feature(name="barrier", lower=(110.0,), upper=(130.0,))


def make(payoff: Barrier, *others: Feature, spots: tuple[float, float] = (100.0, 200.0)) -> PricingProblem:
    spot = Feature(name="spot", lower=spots[:1], upper=spots[1:])
    return PricingProblem(process=PROCESS, payoff=payoff, maturity=1.0, features=(spot, *others))


def found(problem: PricingProblem) -> Reduction:
    reduction = reduce(problem)
    assert reduction is not None
    return reduction


CASES = {
    "down": make(DOWN),
    "up": make(UP),
    "scaled": make(DOWN, MATURITY, Feature(name="strike", lower=(90.0,), upper=(110.0,))),
    "the barrier a feature": make(DOWN, LEVEL, MATURITY),
}


@pytest.mark.parametrize("name", CASES)
def test_the_formula_around_the_exact_value_is_the_exact_value(name: str) -> None:
    problem, reduction = CASES[name], found(CASES[name])
    features = problem.box.from_uniforms(np.random.default_rng(1).random((200, problem.box.dimension)))
    exact, x = reference(problem, features, order=1), torch.from_numpy(features).requires_grad_()
    u = to_canonical(reduction, x)
    canonical = reduction.canonical
    assert isinstance(canonical.process, BlackScholes)
    assert isinstance(canonical.payoff, Barrier)
    (amplitude,), (local,) = evaluate([reduction.amplitude], x), evaluate([reduction.local_amplitude], u)
    priced = (amplitude / local)[:, 0] * barrier(canonical.process, canonical.payoff, scenario(canonical, u))
    (slope,) = torch.autograd.grad(priced.sum(), x)
    np.testing.assert_allclose(priced.detach().numpy(), exact.value, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slope.numpy(), exact.gradient, rtol=1e-7, atol=1e-7)
    alive = living(problem, torch.from_numpy(features)).numpy()
    assert 20 < alive.sum() < 180
    assert (exact.value[~alive] == 0.0).all()
    assert (living(canonical, u.detach()).numpy() == alive).all()


@pytest.mark.parametrize("name", CASES)
def test_a_graph_answers_zero_where_the_barrier_has_ended_it(name: str) -> None:
    problem, reduction = CASES[name], found(CASES[name])
    network = network_for(problem, reduction)
    model = to_onnx(network, box=problem.box, metadata={}, reduction=reduction)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    features = problem.box.from_uniforms(np.random.default_rng(2).random((100, problem.box.dimension)))
    answers = session.run(["value", "delta", "gamma"], {"features": features})
    dead = ~living(problem, torch.from_numpy(features)).numpy()
    for answer in answers:
        assert (answer[dead] == 0.0).all()
        assert (answer[~dead] != 0.0).any()
    for answer, mine in zip(answers, derivatives(reduction, network, torch.from_numpy(features)), strict=True):
        np.testing.assert_allclose(answer, mine.numpy(), rtol=1e-9, atol=1e-9)
    aside = make(UP, *problem.features[1:]) if name == "up" else make(DOWN, *problem.features[1:], spots=(100.0, 300.0))
    check_greeks(aside, reduction=found(aside))


def test_at_the_barrier_itself_it_is_dead() -> None:
    problem = CASES["down"]
    at = torch.tensor([[120.0], [120.0 + 1e-12], [120.0 + 1e-9]], dtype=torch.float64)
    assert living(problem, at).tolist() == [False, 120.0 + 1e-12 > 120.0, True]


@pytest.mark.parametrize(
    "payoff", [replace(DOWN, dates=(0.5, 1.0)), replace(DOWN, knock="in"), replace(DOWN, barrier=90.0)]
)
def test_what_is_nowhere_dead_today_stays_as_it_is(payoff: Barrier) -> None:
    problem = make(payoff)
    assert distance(problem) is None
    assert reduce(problem) is None
    assert with_the_dead(problem, "words") == "words"
    assert living(problem, torch.tensor([[100.0], [150.0]])).all()


@pytest.mark.parametrize(("direction", "spots"), [("down", (100.0, 110.0)), ("down", (120.0, 150.0))])
def test_all_or_nothing_needs_no_formula(direction: Literal["down", "up"], spots: tuple[float, float]) -> None:
    assert distance(make(replace(DOWN, direction=direction), spots=spots)) is None


def test_rows_of_somebody_elses_pricer_are_learnt_from_where_alive() -> None:
    reduction = found(CASES["down"])
    x = torch.tensor([[110.0], [130.0], [120.0], [190.0]], dtype=torch.float64)
    rows = Dataset(x=x, y=torch.tensor([0.0, 7.0, 0.0, 90.0], dtype=torch.float64))
    kept = from_features(reduction, rows)
    assert kept.x[:, 0].tolist() == [130.0, 190.0]
    assert kept.y.tolist() == [7.0, 90.0]
    network = network_for(CASES["down"], reduction)
    torch.testing.assert_close(derivatives(reduction, network, x)[0][[1, 3]], value(network, x[[1, 3]]))
