from __future__ import annotations

from typing import Any

from app.specification.jobs import kind_of, load_spec, model_name
from pricing.specs.base import dump


def test_a_specification_survives_its_own_dump(tiny: dict[str, Any]) -> None:
    spec = load_spec("train", tiny)
    assert load_spec("train", dump(spec)) == spec


def test_a_specification_knows_its_kind_and_its_model(tiny: dict[str, Any]) -> None:
    prune = load_spec("prune", {"model": "other", "pruning": {"method": "magnitude", "sparsity": 0.3}})
    train = load_spec("train", tiny)
    assert (kind_of(train), model_name(train)) == ("train", "tiny")
    assert (kind_of(prune), model_name(prune)) == ("prune", "other")
