from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pruning.spec import MAXIMUM_SCORES, MAXIMUM_SPLITS, PruningSpec


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"splits": MAXIMUM_SPLITS + 1}, "splits", r"splits must be in \[1, 4096\], got 4097"),
        ({"splits": 0}, "splits", "splits must be in"),
        ({"draws": MAXIMUM_SCORES + 1}, "draws", "draws must be in"),
        ({"rounds": MAXIMUM_SCORES + 1}, "rounds", "rounds must be in"),
        ({"rounds": 101, "draws": 100}, "rounds", "rounds times draws must be at most 10000, got 10100"),
    ],
)
def test_specs_that_would_not_end(options: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        load(PruningSpec, {"method": "significance", "sparsity": 0.5} | options)
    assert caught.value.fields["path"] == path


def test_the_bounds_themselves_are_taken() -> None:
    spec = PruningSpec(method="ntk_sap", sparsity=0.5, splits=MAXIMUM_SPLITS, rounds=100, draws=MAXIMUM_SCORES // 100)
    assert load(PruningSpec, dump(spec)) == spec


def test_what_is_not_said_of_the_quadratic_model_is_not_dumped() -> None:
    later = {"gradient_term", "line_search", "safeguard"}
    assert not later & set(dump(PruningSpec(method="chita", sparsity=0.5)))
    said = PruningSpec(method="chita", sparsity=0.5, gradient_term=True, line_search="exact", safeguard=False)
    assert later <= set(dump(said))
    assert load(PruningSpec, dump(said)) == said
