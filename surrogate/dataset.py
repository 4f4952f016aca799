"""Labelled samples as tensors, in raw or normalised units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from pricing.labels import Labels
from surrogate.scaling import Scaling


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Features with labels; what the labels do not hold is None.

    Shape: x (batch, feature); y (batch,); gradient (batch, feature); directions and curvature (batch, direction,
    feature), where curvature[n, k] = H(x_n) directions[n, k].
    """

    x: Tensor
    y: Tensor
    gradient: Tensor | None = None
    directions: Tensor | None = None
    curvature: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor | slice) -> Dataset:
        """The samples that ``index`` selects."""
        return self._each(lambda part: part[index])

    def to(self, dtype: torch.dtype) -> Dataset:
        """The same samples in another precision."""
        return self._each(lambda part: part.to(dtype))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Dataset:
        return Dataset(**{name: change(part) for name, part in vars(self).items() if part is not None})


FIELDS = tuple(field.name for field in fields(Dataset))


def normalise(dataset: Dataset, scaling: Scaling) -> Dataset:
    """The same samples in normalised units; a direction v in raw units becomes v / sigma_x."""
    ratio = scaling.x_scale / scaling.y_scale
    return replace(
        dataset,
        x=(dataset.x - scaling.x_mean) / scaling.x_scale,
        y=(dataset.y - scaling.y_mean) / scaling.y_scale,
        gradient=None if dataset.gradient is None else dataset.gradient * ratio,
        directions=None if dataset.directions is None else dataset.directions / scaling.x_scale,
        curvature=None if dataset.curvature is None else dataset.curvature * ratio,
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
