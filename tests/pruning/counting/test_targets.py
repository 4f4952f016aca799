from __future__ import annotations

from typing import Any

import pytest

from pruning.counting.targets import counts, dense, kept_count
from pruning.errors import ImpossibleSparsity
from pruning.spec import PruningSpec


def test_the_count_survives_rounding() -> None:
    assert kept_count(100, 0.9) == 10
    assert kept_count(1000, 0.999) == 1


def test_a_shape_is_counted_without_a_network() -> None:
    shape = dense((3, 10, 8, 1))
    assert (shape.weights, shape.biases, shape.present) == (118, 19, 137)
    assert shape.least_factored == 13 + 18 + 8


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"method": "magnitude", "parameters": 60, "initial_sparsity": 0.9}, "initial_sparsity"),
        ({"method": "magnitude", "sparsity": 0.99}, "sparsity"),
        ({"method": "magnitude", "parameters": 5}, "parameters"),
        ({"method": "rigl", "parameters": 20}, "parameters"),
        ({"method": "alds", "sparsity": 0.9}, "sparsity"),
        ({"method": "pfp", "parameters": 7}, "parameters"),
    ],
)
def test_an_impossible_target_names_field_bound_and_what_would_do(spec: dict[str, Any], path: str) -> None:
    shape = dense((3, 10, 8, 1))
    with pytest.raises(ImpossibleSparsity) as refused:
        counts(shape, PruningSpec(**spec))
    assert refused.value.fields["path"] == path
    counts(shape, PruningSpec(**spec | {path: refused.value.fields["bound"]}))
