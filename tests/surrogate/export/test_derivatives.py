from __future__ import annotations

import pytest
import torch
from torch import Tensor

from surrogate.export.derivatives import gradient, tangents
from surrogate.reductions.expressions import Expression, evaluate

WIDTH = 3
BLOCKS = (slice(0, 2), slice(2, 3))


@pytest.fixture
def points() -> Tensor:
    return torch.rand(50, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.3


def test_both_sweeps_are_what_autograd_finds(formula: tuple[Expression, list[Expression]], points: Tensor) -> None:
    end, leaves = formula
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
