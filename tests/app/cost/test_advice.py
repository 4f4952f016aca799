from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from app.cost.advice import LEAST_SAVED, advice, builds, halved
from app.cost.job import Cost, Named, cost_of
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec, ParentJobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.base import load
from pruning.spec import PruningSpec
from tests.abuse.costly import DATASET, TRAIN, assets
from tests.app.conftest import TINY

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))


def seconds(cost: Cost) -> float:
    """Of an estimate."""
    return cost.estimate.seconds


def memory(cost: Cost) -> float:
    """Of an estimate."""
    return float(cost.estimate.memory_bytes)


def changed(changes: dict[str, Any]) -> BuildSpec:
    """The tiny build with other values at some paths."""
    plain: dict[str, Any] = json.loads(json.dumps(tomllib.loads(TINY)))
    for path, value in changes.items():
        *steps, last = path.split(".")
        at = plain
        for step in steps:
            at = at.setdefault(step, {})
        at[last] = value
    return load(BuildSpec, plain)


def of_build(build: BuildSpec) -> Cost:
    """What a build takes."""
    return cost_of(build, build, Named())


@pytest.mark.parametrize("name", TRAIN)
def test_every_costly_build_is_told_what_helps_it_most(name: str) -> None:
    changes, limit = TRAIN[name]
    cost, amount = of_build(changed(changes)), seconds if limit == "job_seconds" else memory
    told = advice(cost, amount)
    assert told, "nothing helps"
    amounts = [each.amount for each in told]
    assert amounts == sorted(amounts)
    assert amounts[-1] <= (1.0 - LEAST_SAVED) * amount(cost)
    saved = dict(halved(cost))
    assert all(amount(saved[each.field]) == each.amount for each in told)
    assert told[0].amount == min(map(amount, saved.values()))


def test_many_assets_are_told_of_features_and_not_of_a_network_that_is_small() -> None:
    build = changed(assets(400) | {"evaluation.samples": 4096})
    told = [each.field for each in advice(of_build(build), memory)]
    assert told == ["problem.features", "evaluation.samples"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_half_of_any_field_of_an_example_can_be_counted(path: Path) -> None:
    build = load(BuildSpec, tomllib.loads(path.read_text()))
    if build.problem is None:
        return
    before = of_build(build)
    after = dict(halved(before))
    assert "labels.samples" in after
    assert ("evaluation.samples" in after) == (build.evaluation.samples is not UNSET)
    assert all(seconds(cost) <= seconds(before) for field, cost in after.items() if not field.endswith("batch"))


def test_nothing_of_the_given_build_is_changed() -> None:
    build = changed(assets(4))
    told, box = repr(build), build.box
    assert len(list(builds(build))) > 5
    assert repr(build) == told
    assert build.box is box or build.box == box


@pytest.mark.parametrize(
    ("job", "prefixes"),
    [
        (
            PruneJobSpec(model="tiny", pruning=PruningSpec(method="chita", sparsity=0.5, stages=8)),
            ("pruning.", "labels."),
        ),
        (RetrainJobSpec(model="tiny"), ("changes.",)),
    ],
)
def test_only_fields_of_the_job_are_named(job: ParentJobSpec, prefixes: tuple[str, ...], tiny_build: BuildSpec) -> None:
    build = tiny_build if isinstance(job, RetrainJobSpec) else replace(tiny_build, pruning=job.pruning)
    named = [field for field, _ in halved(cost_of(job, build, Named()))]
    assert named
    assert all(field.startswith(prefixes) for field in named)


def test_rows_and_teachers_are_amounts_too(tiny_build: BuildSpec) -> None:
    job: JobSpec = tiny_build
    assert DATASET
    named = Named(rows=1 << 20, teacher_parameters=1 << 20)
    assert {"dataset.id", "labels.model"} <= {field for field, _ in halved(cost_of(job, tiny_build, named))}
