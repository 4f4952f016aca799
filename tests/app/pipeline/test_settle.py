from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import UnknownModel, UnknownVersion
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobKind, load_spec
from pricing.errors import InvalidSpec

PRUNING = {"method": "magnitude", "sparsity": 0.3}


@pytest.mark.parametrize("kind", ["prune", "retrain"])
def test_a_version_must_be_there(kind: JobKind, tiny_registry: Path) -> None:
    rest: dict[str, Any] = {"pruning": PRUNING} if kind == "prune" else {}
    registry = Registry(tiny_registry)
    here = load_spec(kind, {"model": "tiny", "version": "latest", **rest})
    assert settle(here, registry) is here
    with pytest.raises(UnknownModel):
        settle(load_spec(kind, {"model": "other", **rest}), registry)
    with pytest.raises(UnknownVersion):
        settle(load_spec(kind, {"model": "tiny", "version": 7, **rest}), registry)
    registry.close()


def test_changes_must_fit_the_version(tiny_registry: Path) -> None:
    registry = Registry(tiny_registry)
    with pytest.raises(InvalidSpec, match="unknown field"):
        settle(load_spec("retrain", {"model": "tiny", "changes": {"problem.process.rte": 1.0}}), registry)
    registry.close()


def test_a_teacher_must_fit_the_box(tiny: dict[str, Any], tiny_registry: Path) -> None:
    registry = Registry(tiny_registry)
    taught = tiny | {"labels": {"model": "tiny@1", "samples": 32, "order": 1}}
    assert isinstance(settle(load_spec("train", taught), registry), BuildSpec)
    wide = {"name": "spot", "lower": [0.5, 0.4], "upper": [1.5, 1.5]}
    with pytest.raises(InvalidSpec, match=r"spot\[1\] is 0.4 to 1.5 here and 0.5 to 1.5 in tiny@1"):
        settle(load_spec("train", taught | {"problem": tiny["problem"] | {"features": [wide]}}), registry)
    with pytest.raises(UnknownModel):
        settle(load_spec("train", tiny | {"labels": {"model": "other"}}), registry)
    registry.close()
