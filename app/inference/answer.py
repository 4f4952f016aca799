"""What a model answers: arrays by output, and the forms that its gamma is asked for in. Torch-free."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pricing.types import Array

GammaForm = Literal["full", "diagonal", "parallel"]
# Outputs by name. Shape: value (batch,), delta (batch, feature), gamma (batch, feature, feature), any other (batch,) or
# (batch, coordinate).
Answer = dict[str, Array]
# What is answered where nothing else is asked for.
DEFAULT_OUTPUTS = ("value", "delta", "gamma")


def rows_of(answer: Answer, part: slice) -> Answer:
    """Some of the rows, as views."""
    return {name: array[part] for name, array in answer.items()}


def gamma_form(gamma: Array, form: GammaForm) -> Array:
    """H, its diagonal, or 1'H 1. Shape: batch feature feature -> batch feature feature, batch feature or batch."""
    if form == "full":
        return gamma
    if form == "diagonal":
        return np.ascontiguousarray(np.einsum("nii->ni", gamma))
    with np.errstate(over="ignore", invalid="ignore"):  # whoever shows it refuses the row
        parallel: Array = gamma.sum(axis=(1, 2))
    return parallel
