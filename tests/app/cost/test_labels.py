from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from app.cost.labels import normals, path_seconds, read_rows, sample, simulate
from pricing.domain import Feature
from pricing.specs.estimator import Frozen
from pricing.specs.european import Call, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston
from pricing.specs.sampler import FlowSpec, TableSampler, UniformSampler

CALL = Call(weights=(1.0,), strike=100.0)
HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.0,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.5,),
    correlation=((1.0,),),
)


def basket(assets: int, payoff: Callable[[int], Any]) -> PricingProblem:
    """A payoff on so many assets."""
    unit = tuple(tuple(float(i == j) for j in range(assets)) for i in range(assets))
    return PricingProblem(
        process=BlackScholes(volatilities=(0.2,) * assets, correlation=unit),
        payoff=payoff(assets),
        maturity=1.0,
        features=(Feature(name="spot", lower=(50.0,) * assets, upper=(150.0,) * assets),),
    )


def call(assets: int) -> Call:
    return Call(weights=(1.0 / assets,) * assets, strike=100.0)


def seconds(problem: PricingProblem, **labels: Any) -> float:
    spec = LabelSpec(**{"samples": 256, "paths": 1024, "replicates": 4, "order": 1} | labels)
    return sum(work.seconds for work in simulate(problem, spec, spec.order))


def test_labels_cost_samples_times_paths_times_replicates_times_assets() -> None:
    once = seconds(basket(2, call))
    assert seconds(basket(2, call), paths=8192) == pytest.approx(8 * once, rel=0.1)
    assert seconds(basket(2, call), samples=2048) == pytest.approx(8 * once, rel=0.1)
    assert seconds(basket(2, call), replicates=32) == pytest.approx(8 * once, rel=0.1)
    assert seconds(basket(16, call)) == pytest.approx(8 * once, rel=0.1)


def test_derivatives_cost_more_and_every_direction_more() -> None:
    problem = basket(3, call)
    values = [seconds(problem, order=order) for order in (0, 1, 2)]
    assert values == sorted(values)
    assert seconds(problem, order=2, directions=3) > 1.5 * values[2]


def test_time_steps_and_dates_cost_normals() -> None:
    assert normals(replace(HESTON, steps=64), 1, 1) > 3.5 * normals(replace(HESTON, steps=16), 1, 1)
    assert normals(HESTON, 1000, 1) > 50 * normals(HESTON, 1, 1)  # a date is a step


def test_the_worst_of_several_costs_a_formula_each() -> None:
    ranked = basket(4, lambda assets: WorstOf(initial=(100.0,) * assets, strike=1.0))
    assert path_seconds(ranked, LabelSpec(), 1) > 3.0 * path_seconds(basket(4, call), LabelSpec(), 1)


def test_a_rule_of_early_exercise_costs_its_polynomials() -> None:
    problem = basket(5, lambda assets: Bermudan(option=call(assets), dates=(0.5, 1.0)))
    low, high = (seconds(problem, estimator=Frozen(degree=degree)) for degree in (2, 8))
    assert high > 5.0 * low


def test_memory_is_bounded_by_parts_of_the_paths_and_grows_with_the_labels() -> None:
    problem = basket(2, call)
    few, many = (max(work.memory for work in simulate(problem, LabelSpec(paths=1 << n), 2)) for n in (18, 22))
    assert few < many < 3 << 30  # two threads
    wide = simulate(basket(50, call), LabelSpec(samples=1 << 20, paths=1, directions=10, order=2), 2)
    assert max(work.memory for work in wide) > 8 * (1 << 20) * 50 * 20


def test_a_flow_costs_epochs_steps_and_states() -> None:
    def learn(states: int, **flow: Any) -> float:
        table = TableSampler(states=((1.0, 1.0), (1.1, 1.2)) * (states // 2), flow=FlowSpec(**flow))
        return sample(table, 512.0, 2).seconds

    once = learn(100)
    assert learn(1000) == pytest.approx(10 * once)
    assert learn(100, epochs=1000) == pytest.approx(10 * once)
    assert learn(100, sparsity=0.5) == pytest.approx(4 * once)
    assert sample(UniformSampler(), 512.0, 2).seconds < once


def test_rows_of_a_dataset_cost_their_cells() -> None:
    assert read_rows(1e6, 20.0).memory > 8 * 2e7
    assert read_rows(1e6, 20.0).seconds == pytest.approx(10 * read_rows(1e5, 20.0).seconds)
