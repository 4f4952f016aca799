from __future__ import annotations

import pytest
import torch
from torch import Tensor

from surrogate.export.derivatives import gradient, tangents
from surrogate.reductions.expressions import (
    Expression,
    clamp,
    constant,
    evaluate,
    exp,
    feature,
    indicator,
    log,
    magnitude,
    product,
    reciprocal,
    square_root,
    total,
)

WIDTH = 3
BLOCKS = (slice(0, 2), slice(2, 3))


def formula() -> tuple[Expression, list[Expression]]:
    """Every operator but the network, with broadcasts of one column to three and back."""
    a, b = feature(0, 2), feature(2, 3)
    mixed = product(a, torch.tensor([[1.0, 0.5, -0.2], [0.3, -1.0, 2.0]], dtype=torch.float64))
    bent = exp(mixed * 0.3) + square_root(b) + log(magnitude(mixed) + 1.5) / (b + 2.0)
    held = clamp(bent, 0.5, 2.0) * indicator(mixed) - reciprocal(b) * b * b
    return total(held * held * constant([1.0, 2.0, 3.0]) + bent) * b + total(a), [a, b]


@pytest.fixture
def points() -> Tensor:
    return torch.rand(50, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.3


def test_both_sweeps_are_what_autograd_finds(points: Tensor) -> None:
    end, leaves = formula()
    x = points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(evaluate([end], x)[0].sum(), x, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in slope.unbind(1)], 1)
    slopes = gradient(end, leaves)
    eye = torch.eye(WIDTH, dtype=torch.float64)
    torch.testing.assert_close(torch.cat(evaluate(slopes, points), dim=1), slope.detach())
    for direction in range(WIDTH):
        seeds = {leaf: eye[direction : direction + 1, columns] for leaf, columns in zip(leaves, BLOCKS, strict=True)}
        along = torch.cat(evaluate(tangents(slopes, seeds), points), dim=1)
        torch.testing.assert_close(along, hessian[:, direction].detach())
