from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from surrogate.dataset import Dataset
from surrogate.functions.network import initialise
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.spec import SobolevLoss


@pytest.fixture
def objective_of(dataset: Dataset) -> Callable[..., Objective]:
    """The loss of a student of the dataset, of other hidden widths than the teacher's and far from any minimum."""

    def made(*hidden: int, order: int) -> Objective:
        student = initialise((3, *hidden, 1), "silu", generator=torch.Generator().manual_seed(21))
        weights = loss_weights(dataset, SobolevLoss(order=order))  # type: ignore[arg-type]  # 0, 1 or 2
        return Objective(network=student, dataset=dataset, weights=weights, free=free_coordinates(student, None))

    return made
