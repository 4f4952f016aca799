from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec

Build = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"dataset": {"id": "abc"}}, "dataset.id"),
        ({"dataset": {"id": "0" * 64, "file": "x.csv"}}, "dataset"),
        ({"dataset": {"id": "0" * 64, "held_out": 0.0}}, "dataset.held_out"),
        ({"labels": {"samples": 64}}, "labels"),
        ({"dataset": None}, "problem"),
    ],
)
def test_a_build_from_a_dataset_is_checked(change: dict[str, Any], path: str, dataset_build: Build) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_spec("train", dataset_build("0" * 64, **change))
    assert caught.value.fields["path"].startswith(path)
