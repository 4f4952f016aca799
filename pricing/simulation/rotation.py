"""Orthogonal turns of the driving normals, so that the first of them carry most of the payoff's gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """One orthogonal matrix a block of consecutive normals. Shape: each matrix block block."""

    matrices: tuple[Tensor, ...]

    def __call__(self, normals: Tensor) -> Tensor:
        """The turned normals. Shape: ... dimension -> the same."""
        blocks = torch.split(normals, [len(matrix) for matrix in self.matrices], dim=-1)
        turned = [block @ matrix.T for block, matrix in zip(blocks, self.matrices, strict=True)]
        return turned[0] if len(turned) == 1 else torch.cat(turned, dim=-1)


def identity(blocks: tuple[int, ...]) -> Rotation:
    """No turn."""
    return Rotation(matrices=tuple(torch.eye(size, dtype=torch.float64) for size in blocks))
