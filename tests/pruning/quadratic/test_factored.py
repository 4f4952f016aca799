from __future__ import annotations

import torch

from pruning.quadratic.factored import factored
from pruning.rows import Rows


def test_factors_do_what_their_matrix_does(generator: torch.Generator) -> None:
    shapes, terms, samples = ((3, 4), (2, 3)), 2, 5
    rows = Rows(
        left=tuple(torch.randn(terms, samples, o, generator=generator, dtype=torch.float64) for o, _ in shapes),
        right=tuple(torch.randn(terms, samples, i, generator=generator, dtype=torch.float64) for _, i in shapes),
        residual=torch.zeros(samples, dtype=torch.float64),
    )
    masks = [torch.rand(shape, generator=generator) < 0.7 for shape in shapes]
    matrix = rows.matrix(masks)
    scale = 1.0 + torch.rand(matrix.shape[1], generator=generator, dtype=torch.float64)
    index = torch.cat([kept.flatten() for kept in masks]).nonzero()[:, 0]
    factors = factored(rows, index, scale, torch.float64)
    v = torch.randn(matrix.shape[1], generator=generator, dtype=torch.float64)
    u = torch.randn(samples, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(factors @ v, matrix / scale @ v)
    torch.testing.assert_close(factors.transposed(u), (matrix / scale).T @ u)
    chosen = torch.tensor([0, 2, matrix.shape[1] - 1])
    torch.testing.assert_close(factors.columns(chosen), (matrix / scale)[:, chosen])


def test_products_with_rows_and_with_weights_are_adjoint(generator: torch.Generator) -> None:
    rows = Rows(
        left=(torch.randn(1, 6, 4, generator=generator, dtype=torch.float64),),
        right=(torch.randn(1, 6, 7, generator=generator, dtype=torch.float64),),
        residual=torch.zeros(6, dtype=torch.float64),
    )
    factors = factored(rows, torch.arange(0, 28, 3), torch.full((10,), 2.0, dtype=torch.float64), torch.float64)
    v = torch.randn(10, generator=generator, dtype=torch.float64)
    u = torch.randn(6, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(u @ (factors @ v), factors.transposed(u) @ v)


def test_numbers_below_the_least_normal_one_are_0_in_single_precision() -> None:
    tiny = torch.full((1, 2, 2), 1e-42, dtype=torch.float64)
    rows = Rows(left=(tiny,), right=(torch.ones_like(tiny),), residual=torch.zeros(2, dtype=torch.float64))
    factors = factored(rows, torch.arange(4), torch.ones(4, dtype=torch.float64), torch.float32)
    assert not factors.left[0].any()
    assert factors.right[0].dtype == torch.float32
