from __future__ import annotations

import numpy as np

from app.datasets.facts import ListedDataset, StoredDataset, describe
from app.datasets.table import LabelTable
from pricing.domain import Feature
from pricing.specs.base import dump, load

X = np.array([[1.0, 2.0, 0.1], [1.0, 2.0, 0.1], [1.0, 2.0, 0.1], [3.0, 5.0, 0.2]])
TABLE = LabelTable(
    names=("spot[0]", "spot[1]", "rate"), x=X, y=np.array([0.5, 0.5, 0.25, 1.0]), weight=np.array([1.0, 2.0, 3.0, 4.0])
)


def test_a_table_is_counted_and_bounded() -> None:
    facts = describe(TABLE, dataset="id", name="desk")
    assert (facts.dataset, facts.name, facts.rows, facts.distinct_rows, facts.copies) == ("id", "desk", 4, 2, 1)
    assert (facts.derivatives, facts.weights, facts.columns) == (False, True, TABLE.names)
    assert facts.features == (
        Feature(name="spot", lower=(1.0, 2.0), upper=(3.0, 5.0)),
        Feature(name="rate", lower=(0.1,), upper=(0.2,)),
    )


def test_every_column_has_its_statistics() -> None:
    facts = describe(TABLE, dataset="id", name=None)
    assert list(facts.statistics) == ["spot[0]", "spot[1]", "rate", "y", "weight"]
    y = facts.statistics["y"]
    assert (y.least, y.largest, y.mean, y.deviation) == (0.25, 1.0, TABLE.y.mean(), TABLE.y.std())


def test_facts_survive_and_a_listing_needs_part_of_them() -> None:
    facts = describe(TABLE, dataset="id", name=None)
    assert load(StoredDataset, dump(facts)) == facts
    summary = load(ListedDataset, dump(facts))
    assert (summary.rows, summary.features, summary.imported) == (facts.rows, facts.features, facts.imported)
