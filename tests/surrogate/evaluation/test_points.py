from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references import reference as references
from pricing.references.reference import Reference
from pricing.specs.european import BestOf
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array
from surrogate.evaluation import points
from surrogate.evaluation.points import LEAST, MINUTES, Ears, planned, referenced
from surrogate.spec import MOST_SAMPLES, USUAL_SAMPLES, EvaluationSpec

# Points of a batch.
SOME = 32
RHO = tuple(tuple(1.0 if i == j else 0.5 for j in range(4)) for i in range(4))
SLOW = PricingProblem(
    process=BlackScholes(
        volatilities=(0.2,) * 4, correlation=tuple(tuple(1.0 if i == j else 0.5 for j in range(4)) for i in range(4))
    ),
    payoff=BestOf(initial=(1.0,) * 4, strike=1.0),
    maturity=1.0,
    features=(Feature(name="spot", lower=(0.7,) * 4, upper=(1.3,) * 4),),
)


def test_what_is_asked_is_planned_whatever_it_costs(call: PricingProblem) -> None:
    for problem in (call, SLOW):
        assert planned(problem, EvaluationSpec(samples=5000)).samples == 5000
        assert planned(problem, EvaluationSpec(samples=5000)).reason is None


def test_without_a_number_the_pace_of_the_reference_decides_and_is_told(call: PricingProblem) -> None:
    assert planned(call, EvaluationSpec()).samples == USUAL_SAMPLES
    pace = references.affordable(SLOW)
    assert pace is not None
    plan = planned(SLOW, EvaluationSpec())
    assert plan.samples == min(max(MINUTES * pace, LEAST), USUAL_SAMPLES)
    assert plan.reason == f"the reference judges about {pace} points a minute"
    assert planned(SLOW, EvaluationSpec(seconds=9.0)).samples == MOST_SAMPLES
    assert EvaluationSpec(seconds=9.0).most(1000) == 33  # Hessians of a million entries each


@pytest.fixture(autouse=True)
def _in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "WHOLE", SOME)


def drawn(problem: PricingProblem, count: int) -> Array:
    return problem.box.from_uniforms(np.random.default_rng(0).random((count, problem.box.dimension)))


def test_batches_are_the_whole_and_foretell_it(call: PricingProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "TOLD_SECONDS", 0.0)
    x, said, shares = drawn(call, 3 * SOME + 5), list[str](), list[float]()
    found = referenced(call, x, seed=1, seconds=None, ears=Ears(progress=shares.append, noted=said.append))
    np.testing.assert_allclose(found.hessian, references.reference(call, x).hessian, rtol=1e-12)
    assert len(said) == 1
    assert said[0].startswith(f"{len(x):,} points, about ")
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_budget_ends_it_and_the_first_batch_is_always_there(
    call: PricingProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a tenth of a second whenever it is looked at."""
    ticks = itertools.count()
    monkeypatch.setattr("surrogate.evaluation.points.time.monotonic", lambda: 0.1 * next(ticks))
    monkeypatch.setattr(points, "WAVE_SECONDS", 0.1)
    monkeypatch.setattr(points, "TOLD_SECONDS", 1.0)
    x, said = drawn(call, 1000), list[str]()
    some = referenced(call, x, seed=1, seconds=0.6, ears=Ears(noted=said.append))
    assert SOME < len(some.value) < 1000
    np.testing.assert_allclose(some.value, references.reference(call, x[: len(some.value)]).value, rtol=1e-12)
    assert said[0].startswith("up to 1,000 points in 1 s, about ")
    assert len(referenced(call, x, seed=1, seconds=1e-6, ears=Ears()).value) == SOME


def test_other_processes_get_what_is_worth_it_and_give_the_same(
    call: PricingProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves = list[int]()

    def apply(function: Callable[[Array], Reference], batches: Sequence[Array]) -> list[Reference]:
        waves.append(len(batches))
        return [function(batch) for batch in batches]

    x, ears = drawn(call, 4 * SOME), Ears(mapper=apply, abreast=2)
    alone = referenced(call, x, seed=1, seconds=None, ears=ears)
    assert waves == []
    monkeypatch.setattr(points, "WORTH_SECONDS", 0.0)
    together = referenced(call, x, seed=1, seconds=None, ears=ears)
    assert waves == [2, 1]
    np.testing.assert_array_equal(alone.hessian, together.hessian)
