"""Value, gradient and Hessian of a batched function by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricing.types import Array

# Samples of one differentiated block: some tens of MB at a thousand nodes a sample.
ROWS = 64
# Of derivatives: 0 for the value alone, 2 for the Hessian too.
Order = Literal[0, 1, 2]


class Derivatives(NamedTuple):
    """Value, gradient and Hessian, or their errors. Shape: batch; batch feature; batch feature feature."""

    value: Array
    gradient: Array
    hessian: Array


def differentiate(value: Callable[[Tensor], Tensor], features: Array, *, order: Order, rows: int = ROWS) -> Derivatives:
    """A function of features with its derivatives, zeros beyond the order, so many rows at once.

    Shape: features batch feature.

    Args:
        value: Shape: batch feature -> batch, or 1 where no feature moves it.
    """
    blocks = [_block(value, features[start : start + rows], order) for start in range(0, len(features), rows)]
    return Derivatives(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def _block(value: Callable[[Tensor], Tensor], features: Array, order: Order) -> Derivatives:
    x = torch.tensor(features, dtype=torch.float64, requires_grad=order > 0)
    y = value(x).expand(len(x))
    gradient, hessian = torch.zeros_like(x), x.new_zeros(*x.shape, x.shape[1])
    if order > 0:
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=order > 1)
    if order > 1 and gradient.requires_grad:  # else it is linear
        columns = gradient.sum(dim=0).unbind()
        rows = [torch.autograd.grad(column, x, retain_graph=True)[0] for column in columns]
        hessian = torch.stack(rows, dim=1)
    return Derivatives(value=y.detach().numpy(), gradient=gradient.detach().numpy(), hessian=hessian.detach().numpy())
