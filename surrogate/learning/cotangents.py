"""Jacobians of several outputs from the left: u^T dy/dx for random u in place of all rows.

A basket at m strikes has m values on the same paths, and m gradients that cost an adjoint sweep each. One sweep gives
the gradient of u^T y. With E u u^T = I over the samples,

    E |u^T (J^ - J)|^2 = |J^ - J|_F^2,

so that a loss of sampled products is on average that of whole Jacobians (Czarnecki et al. 2017, "Sobolev training for
neural networks", section 4: stochastic Sobolev training).
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.standardisation import fit_standardisation


def draw_cotangents(x: Tensor, y: Tensor, probes: int, *, generator: torch.Generator) -> Tensor:
    """Random signs over the deviation of each output, so that the loss sees all outputs in equal units.

    Signs have the least variance of all laws with E u u^T = I and independent entries.

    Shape: x batch feature, y batch output -> batch probe output.
    """
    signs = torch.randint(2, (len(y), probes, y.shape[1]), generator=generator, dtype=torch.int64)
    return (2.0 * signs.to(y.dtype) - 1.0) / fit_standardisation(x, y).y_scale


def every_output(x: Tensor, y: Tensor) -> Tensor:
    """A probe an output, sqrt(m) over its deviation: whole Jacobians in the same loss.

    Shape: x batch feature, y batch output -> batch probe output, as many probes as outputs.
    """
    count = y.shape[1]
    rows = torch.diag(count**0.5 / fit_standardisation(x, y).y_scale)
    return rows.expand(len(y), count, count)
