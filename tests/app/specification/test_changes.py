from __future__ import annotations

from typing import Any

import pytest

from app.specification.changes import of_another_kind, with_changes
from pricing.errors import InvalidSpec

PLAIN: dict[str, Any] = {
    "problem": {
        "process": {"kind": "bachelier", "volatilities": [0.2, 0.3], "rate": 0.0},
        "features": [{"name": "spot", "upper": [1.0]}, {"name": "rate", "upper": [0.1]}],
    },
    "training": {"optimisers": [{"kind": "adam", "epochs": 5}, {"kind": "lbfgs", "iterations": 7}]},
    "pruning": None,
    "empty": [],
}


@pytest.mark.parametrize(
    ("changes", "path", "right"),
    [
        ({"problem.process.rate": 0.03}, ("problem", "process", "rate"), 0.03),
        ({"problem": {"process": {"rate": 0.03}}}, ("problem", "process", "rate"), 0.03),
        ({"problem": {"process.rate": 0.03}}, ("problem", "process", "rate"), 0.03),
        ({"problem.process.volatilities": [0.4]}, ("problem", "process", "volatilities"), [0.4]),
        ({"problem.process.volatilities[1]": 0.4}, ("problem", "process", "volatilities"), [0.2, 0.4]),
        ({"problem.process": {"kind": "heston", "xi": 1}}, ("problem", "process"), {"kind": "heston", "xi": 1}),
        ({"problem.features.rate.upper": [0.2]}, ("problem", "features", 1, "upper"), [0.2]),
        ({"problem.features[0].upper[0]": 2.0}, ("problem", "features", 0, "upper"), [2.0]),
        ({"training": {"optimisers": {"1": {"iterations": 9}}}}, ("training", "optimisers", 1, "iterations"), 9),
        ({"training.optimisers.0": {"kind": "lbfgs"}}, ("training", "optimisers", 0), {"kind": "lbfgs"}),
        ({"pruning.method": "chita"}, ("pruning",), {"method": "chita"}),
        ({"network.hidden": [4]}, ("network",), {"hidden": [4]}),
        ({"training": None}, ("training",), None),
    ],
    ids=str,
)
def test_a_change_is_made_where_its_path_leads(changes: dict[str, Any], path: tuple[Any, ...], right: Any) -> None:
    there: Any = with_changes(PLAIN, changes)
    for step in path:
        there = there.get(step) if isinstance(there, dict) else there[step]
    assert there == right


def test_what_is_not_named_stays_and_the_given_is_not_touched() -> None:
    before = repr(PLAIN)
    changed = with_changes(PLAIN, {"problem.process.rate": 0.03, "problem.features.spot.upper": [2.0]})
    assert repr(PLAIN) == before
    assert changed["problem"]["process"] == PLAIN["problem"]["process"] | {"rate": 0.03}
    assert changed["problem"]["features"][1] == PLAIN["problem"]["features"][1]
    assert changed["training"] == PLAIN["training"]


def test_paths_to_one_table_add_up() -> None:
    changed = with_changes(PLAIN, {"pruning.method": "chita", "pruning": {"sparsity": 0.5}})
    assert changed["pruning"] == {"method": "chita", "sparsity": 0.5}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"problem..rate": 1}, "is no path of a field"),
        ({"": 1}, "is no path of a field"),
        ({"problem.process.rate.fixed": 1}, "problem.process.rate is 0.0 and has no field 'fixed'"),
        ({"problem.features.strike.upper": [1]}, "problem.features has no item 'strike'.* it has spot, rate"),
        ({"training.optimisers[2].epochs": 1}, "training.optimisers has no item '2'.* it has 0, 1"),
        ({"problem.features.rate": None}, "to take 'rate' out of problem.features give the whole list without it"),
        ({"empty[0].x": 1}, "empty has no item '0'; it has none"),
        ({".".join("a" * 900): 1}, "fields deep"),
    ],
    ids=str,
)
def test_a_path_that_leads_nowhere_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=sentence) as refused:
        with_changes(PLAIN, changes)
    assert "path" in refused.value.fields


def test_tables_within_tables_end_somewhere() -> None:
    deep: dict[str, Any] = {"rate": 1}
    for _ in range(900):
        deep = {"a": deep}
    with pytest.raises(InvalidSpec, match="fields deep"):
        with_changes(PLAIN, deep)


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"problem.process.kind": "heston"}, ["problem.process"]),
        ({"training.optimisers.1": {"kind": "adam"}}, ["training.optimisers[1]"]),
        ({"problem.process.rate": 0.1, "empty": [{"kind": "adam"}]}, []),
    ],
)
def test_tables_of_another_kind_are_named(changes: dict[str, Any], paths: list[str]) -> None:
    assert list(of_another_kind(PLAIN, with_changes(PLAIN, changes))) == paths
