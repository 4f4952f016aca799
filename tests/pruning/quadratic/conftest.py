from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic


@pytest.fixture
def random_problem(generator: torch.Generator) -> Callable[..., Quadratic]:
    """A problem of so many rows and weights per layer, with small residuals; from the test's generator unless given."""

    def make(
        rows: int, sizes: Sequence[int], *, damping: float = 0.1, generator: torch.Generator = generator
    ) -> Quadratic:
        weights = sum(sizes)
        return Quadratic(
            rows=torch.randn(rows, weights, generator=generator, dtype=torch.float64),
            anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
            residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
            damping=damping,
            sizes=list(sizes),
            priority=torch.zeros(weights, dtype=torch.float64),
        )

    return make


@pytest.fixture
def damped_hessian() -> Callable[[Quadratic], Tensor]:
    """F = A^T A + damping I by a matrix of weight x weight."""

    def dense(problem: Quadratic) -> Tensor:
        eye = torch.eye(len(problem.anchor), dtype=torch.float64)
        return problem.matrix.T @ problem.matrix + problem.damping * eye

    return dense


@pytest.fixture
def mask_of() -> Callable[[Sequence[int], int], Tensor]:
    """The mask of a given length that is True at some indices."""

    def mask(indices: Sequence[int], size: int) -> Tensor:
        chosen = torch.zeros(size, dtype=torch.bool)
        chosen[list(indices)] = True
        return chosen

    return mask
