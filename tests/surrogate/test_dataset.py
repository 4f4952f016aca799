from __future__ import annotations

from dataclasses import replace

import torch

from pricing.labels import Labels
from surrogate.dataset import FIELDS, Dataset, from_labels


def test_rows_are_taken_of_every_label_there_is(dataset: Dataset) -> None:
    part = dataset.rows(slice(3, 6))
    assert len(part) == 3
    for name in FIELDS:
        assert torch.equal(getattr(part, name), getattr(dataset, name)[3:6])
    assert replace(dataset, curvature=None).rows(slice(3)).curvature is None


def test_labels_become_a_dataset_without_their_errors(dataset: Dataset) -> None:
    labels = Labels(
        features=dataset.x,
        value=dataset.y,
        gradient=dataset.gradient,
        value_error=torch.ones_like(dataset.y),
        paths=1,
        payoffs=1,
    )
    made = from_labels(labels)
    assert torch.equal(made.x, dataset.x)
    assert torch.equal(made.y, dataset.y)
    assert made.gradient is dataset.gradient
    assert made.curvature is None
