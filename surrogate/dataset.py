"""Labelled samples as tensors, in raw or normalised units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from pricing.labels import Labels
from surrogate.errors import SurrogateError
from surrogate.standardisation import Standardisation


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Features with labels; what the labels do not hold is None.

    ``y`` of an integer type holds classes 0, 1, ...: the network's outputs are then their logits.

    Several values have no gradient but products of their Jacobian from the left, of which one adjoint sweep gives one
    whatever the number of values: pullbacks[n, k] = cotangents[n, k]^T (dy/dx)(x_n).

    Shape: x (batch, feature); y (batch,), or (batch, output) for several values; gradient (batch, feature); directions
    and curvature (batch, direction, feature), where curvature[n, k] = H(x_n) directions[n, k]; cotangents (batch,
    probe, output), pullbacks (batch, probe, feature); weight (batch,), the share of each sample in the loss: 1 /
    variance of its labels, in any unit.
    """

    x: Tensor
    y: Tensor
    gradient: Tensor | None = None
    directions: Tensor | None = None
    curvature: Tensor | None = None
    cotangents: Tensor | None = None
    pullbacks: Tensor | None = None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def has_classes(self) -> bool:
        """Whether ``y`` holds class labels."""
        return not self.y.is_floating_point()

    def rows(self, index: Tensor | slice) -> Dataset:
        """The samples that ``index`` selects. Shape: index (selected,), or batch of bool."""
        return self._each(lambda tensor: tensor[index])

    def to(self, dtype: torch.dtype) -> Dataset:
        """The same samples in another precision; class labels stay what they are."""
        return self._each(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Dataset:
        return Dataset(**{name: change(tensor) for name, tensor in vars(self).items() if tensor is not None})


# What `as_dataset` takes: ours, torch's, or features and labels.
Samples = Dataset | TensorDataset | tuple[Tensor, Tensor]


def as_dataset(samples: Samples) -> Dataset:
    """Features and labels as a Dataset; features of more than two dimensions are flattened, labels of one column too.

    Raises:
        SurrogateError: the lengths differ, the features are not floating point, or the labels have no such meaning.
    """
    if isinstance(samples, Dataset):
        y = samples.y.long() if samples.has_classes else samples.y
        return replace(samples, x=samples.x.flatten(start_dim=1), y=y)
    tensors = samples.tensors if isinstance(samples, TensorDataset) else samples
    if len(tensors) != 2:
        raise SurrogateError(f"samples: give features and labels, got {len(tensors)} tensors")
    x, y = (torch.as_tensor(tensor) for tensor in tensors)
    if len(x) != len(y) or not x.is_floating_point() or y.ndim not in (1, 2):
        raise SurrogateError(
            "samples: features (batch, feature) of floating point and labels (batch,) or (batch, output) are needed, "
            f"got {tuple(x.shape)} of {x.dtype} and {tuple(y.shape)} of {y.dtype}"
        )
    if not y.is_floating_point():
        y = y.long()
    return Dataset(x=x.flatten(start_dim=1), y=y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)


def normalise(dataset: Dataset, standardisation: Standardisation) -> Dataset:
    """The same samples in normalised units: a direction v in raw units becomes v / sigma_x, weights average 1."""
    weight = None if dataset.weight is None else dataset.weight / dataset.weight.mean()
    x = (dataset.x - standardisation.x_mean) / standardisation.x_scale
    y = dataset.y if dataset.has_classes else (dataset.y - standardisation.y_mean) / standardisation.y_scale
    if dataset.cotangents is not None and dataset.pullbacks is not None:
        cotangents = dataset.cotangents * standardisation.y_scale
        pullbacks = dataset.pullbacks * standardisation.x_scale
        return replace(dataset, x=x, y=y, cotangents=cotangents, pullbacks=pullbacks, weight=weight)
    if dataset.gradient is None:
        return replace(dataset, x=x, y=y, weight=weight)
    ratio = standardisation.x_scale / standardisation.y_scale
    return replace(
        dataset,
        x=x,
        y=y,
        gradient=dataset.gradient * ratio,
        directions=None if dataset.directions is None else dataset.directions / standardisation.x_scale,
        curvature=None if dataset.curvature is None else dataset.curvature * ratio,
        weight=weight,
    )


def from_labels(labels: Labels) -> Dataset:
    """The samples of simulated labels, without their errors."""
    return Dataset(
        x=labels.features,
        y=labels.value,
        gradient=labels.gradient,
        directions=labels.directions,
        curvature=labels.curvature,
    )
