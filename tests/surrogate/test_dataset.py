from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset

from pricing.labels import Labels
from surrogate.dataset import Dataset, as_dataset, from_labels, normalise
from surrogate.errors import SurrogateError
from surrogate.standardisation import fit_standardisation


def test_rows_are_taken_of_every_label_there_is(dataset: Dataset) -> None:
    more = {"cotangents": torch.rand(len(dataset), 2, 1), "pullbacks": torch.rand(len(dataset), 2, 3)}
    dataset = replace(dataset, weight=torch.rand(len(dataset)), **more)
    part = dataset.rows(slice(3, 6))
    assert len(part) == 3
    for name in vars(dataset):
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


def test_tensors_become_a_dataset() -> None:
    images, classes = torch.zeros(4, 2, 3), torch.tensor([0, 2, 1, 2], dtype=torch.int32)
    made = as_dataset(TensorDataset(images, classes))
    assert made.x.shape == (4, 6)
    assert made.has_classes
    assert made.y.dtype == torch.int64
    column = as_dataset((images.flatten(start_dim=1), torch.zeros(4, 1)))
    assert column.y.shape == (4,)
    assert not column.has_classes
    assert torch.equal(as_dataset(made).x, made.x)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(3, 2), torch.zeros(4)),
        (torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3)),
        (torch.zeros(3, 2), torch.zeros(3, 1, 1)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(x: torch.Tensor, y: torch.Tensor) -> None:
    with pytest.raises(SurrogateError, match="samples: features"):
        as_dataset((x, y))


def test_class_labels_keep_their_type_and_their_meaning() -> None:
    classes = torch.tensor([0, 1, 1, 0])
    made = Dataset(x=torch.rand(4, 2), y=classes).to(torch.float64)
    assert made.x.dtype == torch.float64
    standardisation = fit_standardisation(made.x, made.y)
    assert torch.equal(normalise(made, standardisation).y, classes)
    assert float(standardisation.y_scale) == 1.0
