from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.cost.job import Named, cost_of
from app.errors import UnknownModel
from app.pipeline.cost import followed, job_cost, named_by
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.base import dump, load
from pruning.spec import PruningSpec


@pytest.fixture
def registry(tiny_registry: Path) -> Any:
    opened = Registry(tiny_registry)
    yield opened
    opened.close()


def test_a_build_is_its_own_specification(registry: Registry, tiny_build: BuildSpec) -> None:
    assert job_cost(tiny_build, registry) == cost_of(tiny_build, tiny_build, Named())


def test_jobs_follow_their_version_with_what_they_change(registry: Registry, tiny_build: BuildSpec) -> None:
    prune = PruneJobSpec(model="tiny", version=1, pruning=PruningSpec(method="magnitude", sparsity=0.5))
    assert followed(prune, registry) == replace(tiny_build, seed=0, pruning=prune.pruning)
    retrain = RetrainJobSpec(model="tiny", version=1, changes={"labels.paths": 1 << 20})
    assert followed(retrain, registry).labels.paths == 1 << 20
    plain = RetrainJobSpec(model="tiny", version=1)
    assert job_cost(retrain, registry).estimate.seconds > 2 * job_cost(plain, registry).estimate.seconds
    with pytest.raises(UnknownModel):
        job_cost(replace(plain, model="absent"), registry)


def test_what_a_job_names_counts(registry: Registry, tiny_build: BuildSpec) -> None:
    taught = load(BuildSpec, dump(tiny_build) | {"labels": {"model": "tiny@1", "samples": 64, "order": 1}})
    assert named_by(taught, registry) == Named(teacher_parameters=13)


def test_the_rows_of_a_dataset_count(
    root: Path, stored: str, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    opened = Registry(root)
    build = settle(load(BuildSpec, dataset_build(stored)), opened)
    assert isinstance(build, BuildSpec)
    assert named_by(build, opened) == Named(rows=200)
    opened.close()
