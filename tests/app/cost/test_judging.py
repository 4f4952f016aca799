from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.cost.job import Named, what_is_learnt
from app.cost.judging import UNASKED_SECONDS, judge, reference_seconds, sweep_seconds
from app.specification.build import BuildSpec
from pricing.specs.base import dump, load
from surrogate.spec import Adam, EvaluationSpec, NetworkSpec, TrainingSpec

QUICK = TrainingSpec(optimisers=(Adam(),))


def works(build: BuildSpec) -> list[Any]:
    return judge(build, what_is_learnt(build, Named()))


def test_points_cost_time_and_hessians_memory(tiny_build: BuildSpec) -> None:
    few, many = (
        works(replace(tiny_build, evaluation=EvaluationSpec(samples=samples)))[1] for samples in (1 << 14, 1 << 20)
    )
    assert many.seconds > 30 * few.seconds
    assert many.memory > 8 * (1 << 20) * 4


def test_wide_networks_cost_the_comparison_of_their_graph(tiny_build: BuildSpec) -> None:
    wide = replace(tiny_build, network=NetworkSpec(hidden=(4096, 4096)), training=QUICK)
    assert works(wide)[2].memory > 8 * 10_000 * 8192 * 2
    assert works(wide)[2].seconds > 1000 * works(tiny_build)[2].seconds
    assert works(wide)[2].disk > 8 * 4096 * 4096


def test_a_second_precision_is_compared_too(tiny_build: BuildSpec) -> None:
    both = load(BuildSpec, dump(tiny_build) | {"export": {"float32": True}})
    assert works(both)[2].seconds == pytest.approx(2 * works(tiny_build)[2].seconds)


def test_a_sweep_costs_parameters_times_inputs(tiny_build: BuildSpec) -> None:
    task = what_is_learnt(replace(tiny_build, network=NetworkSpec(hidden=(512, 512)), training=QUICK), Named())
    assert sweep_seconds(task, 2000.0) == pytest.approx(2 * sweep_seconds(task, 1000.0))


def test_references_cost_by_the_point_and_no_more_than_their_budget(tiny_build: BuildSpec) -> None:
    few, many = EvaluationSpec(samples=64), EvaluationSpec(samples=4096)
    assert reference_seconds(tiny_build.pricing, many) == 0.0  # Bachelier's formula
    heston = {
        "kind": "heston",
        "initial_variances": [0.04, 0.04],
        "mean_reversions": [1.0, 1.0],
        "long_variances": [0.04, 0.04],
        "variance_volatilities": [0.5, 0.5],
        "spot_variance_correlations": [-0.5, -0.5],
        "correlation": [[1.0, 0.5], [0.5, 1.0]],
    }
    problem = dump(tiny_build)["problem"] | {"process": heston}
    slow = load(BuildSpec, dump(tiny_build) | {"problem": problem}).pricing
    assert 0.0 < reference_seconds(slow, few) <= 120.0
    assert reference_seconds(slow, many) > 30.0 * reference_seconds(slow, few)
    assert reference_seconds(slow, EvaluationSpec()) == UNASKED_SECONDS
    assert reference_seconds(slow, EvaluationSpec(samples=4096, seconds=60.0)) == 60.0
    assert reference_seconds(slow, EvaluationSpec(seconds=60.0)) == 60.0
