"""A reference as that which predictions are held against: with what it may be off, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pricing.references.reference import Reference
from pricing.types import Array, BoolArray
from surrogate.evaluation.accuracy import Prediction

# Standard errors of a reference that are added to an error before it bounds anything.
MARGIN = 2.0
# What a reference has for every point.
PARTS = ("value", "gradient", "hessian")
ERRORS = ("standard_error", "gradient_error", "hessian_error")
POINTWISE = (*PARTS, *ERRORS, "gap")


def as_prediction(exact: Reference, *, independent: bool = False) -> Prediction:
    """A reference as what a surrogate predicts.

    Args:
        independent: the points are, so that their errors bound those of the Box.

    Shape: as `Prediction`.
    """
    judges = exact.known != "nothing"
    margin = None
    if independent:
        value, delta, gamma = (_margin(exact, part, error) for part, error in zip(PARTS, ERRORS, strict=True))
        margin = Prediction(value=value, delta=delta, gamma=gamma)
    return Prediction(value=exact.value, delta=exact.gradient, gamma=exact.hessian, judges=judges, margin=margin)


def _margin(exact: Reference, part: str, error: str) -> Array:
    """What it may be off: standard errors, and its relative error as a share of the largest entry."""
    numbers, errors = getattr(exact, part), getattr(exact, error)
    largest = np.abs(numbers).max(axis=0, initial=0.0)
    margin: Array = exact.relative_error * largest + (np.zeros_like(numbers) if errors is None else MARGIN * errors)
    return margin


def rows_of(exact: Reference, index: BoolArray) -> Reference:
    """The points that ``index`` selects. Shape: index batch of bool."""
    chosen: dict[str, Any] = {name: getattr(exact, name) for name in POINTWISE}
    rows: dict[str, Any] = {name: None if each is None else each[index] for name, each in chosen.items()}
    return replace(exact, **rows)


def joined(parts: Sequence[Reference]) -> Reference:
    """One after the other, of one problem."""
    columns = {name: [getattr(part, name) for part in parts] for name in POINTWISE}
    whole: dict[str, Any] = {
        name: None if column[0] is None else np.concatenate(column) for name, column in columns.items()
    }
    return replace(parts[0], **whole, relative_error=max(part.relative_error for part in parts))
