"""A function of numbers one by one whose derivatives are known: a node a derivative, where a formula has ten."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def known(x: Tensor, value: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """f(x), of which f, f' and f'' are given; it has no third derivative.

    Shape: all as x.
    """
    result: Tensor = _Valued.apply(x, value, first, second)  # type: ignore[no-untyped-call]
    return result


class _Valued(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Shape: all batch -> batch."""
        ctx.save_for_backward(x, first, second)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Shape: batch -> batch."""
        x, first, second = ctx.saved_tensors
        return gradients[0] * _Sloped.apply(x, first, second), None, None, None  # type: ignore[no-untyped-call]


class _Sloped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, second: Tensor) -> Tensor:  # noqa: ARG004 (what is differentiated by)
        """Shape: all batch -> batch."""
        ctx.save_for_backward(second)
        return first.view_as(first)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Shape: batch -> batch."""
        (second,) = ctx.saved_tensors
        return gradients[0] * second, None, None
