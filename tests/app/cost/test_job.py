from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.cost.job import Named, cost_of
from app.cost.training import solve
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.base import dump, load
from pruning.spec import PruningSpec
from surrogate.spec import Adam, TrainingSpec

PRUNING = PruningSpec(method="magnitude", sparsity=0.5, fine_tuning=TrainingSpec(optimisers=(Adam(epochs=10_000),)))
LONG = TrainingSpec(optimisers=(Adam(epochs=1_000_000),))


def seconds(spec: Any, build: BuildSpec, named: Named | None = None) -> float:
    return cost_of(spec, build, named or Named()).estimate.seconds


def test_a_build_costs_its_labels_its_training_and_its_pruning(tiny_build: BuildSpec) -> None:
    plain = cost_of(tiny_build, tiny_build, Named())
    assert plain.estimate.seconds >= sum(part.seconds for part in plain.parts)
    pruned = replace(tiny_build, pruning=PRUNING)
    assert seconds(pruned, pruned) > seconds(tiny_build, tiny_build)
    many = replace(tiny_build, labels=replace(tiny_build.labels, paths=1 << 20))
    assert seconds(many, many) > 2 * seconds(tiny_build, tiny_build)


def test_a_prune_job_does_not_train_what_it_prunes(tiny_build: BuildSpec) -> None:
    build = replace(tiny_build, pruning=PRUNING, training=LONG)
    job = PruneJobSpec(model="tiny", pruning=PRUNING)
    assert seconds(job, build) < 0.2 * seconds(build, build)
    before = replace(PRUNING, method="snip")
    assert seconds(replace(job, pruning=before), replace(build, pruning=before)) > 0.5 * seconds(build, build)


def test_a_retrain_job_costs_what_its_build_does(tiny_build: BuildSpec) -> None:
    build = replace(tiny_build, pruning=PRUNING)
    assert seconds(RetrainJobSpec(model="tiny"), build) == seconds(build, build)


def test_a_dataset_is_learnt_from_row_by_row(tiny_build: BuildSpec) -> None:
    plain = {
        "name": "given",
        "seed": 1,
        "dataset": {"id": "0" * 64, "features": dump(tiny_build)["problem"]["features"]},
    }
    build = load(BuildSpec, plain)
    few, many = (seconds(build, build, Named(rows=rows)) for rows in (1000, 1_000_000))
    assert many > 15 * few


def test_a_teacher_costs_its_answers_and_no_paths(tiny_build: BuildSpec) -> None:
    labels = dump(tiny_build)["labels"] | {"model": "other", "samples": 1 << 18}
    build = load(BuildSpec, dump(tiny_build) | {"labels": labels})
    small, large = (cost_of(build, build, Named(teacher_parameters=n)).parts[0] for n in (40, 4_000_000))
    assert small.seconds < 60.0
    assert large.seconds > 100 * small.seconds


def test_a_polynomial_is_solved_and_not_trained(tiny_polynomial: BuildSpec) -> None:
    parts = cost_of(tiny_polynomial, tiny_polynomial, Named()).parts
    assert tiny_polynomial.polynomial is not None
    solved = solve(tiny_polynomial.polynomial, samples=float(tiny_polynomial.labels.samples), inputs=2)
    assert parts[-1] == solved


@pytest.mark.parametrize("count", [1, 1000])
def test_the_estimate_is_finite_whatever_the_numbers(tiny_build: BuildSpec, count: int) -> None:
    labels = replace(tiny_build.labels, directions=count, direction_law="random")
    estimate = cost_of(tiny_build, replace(tiny_build, labels=labels), Named()).estimate
    assert 0.0 < estimate.seconds < 1e19
