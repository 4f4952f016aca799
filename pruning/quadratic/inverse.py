"""F^-1 = (A^T A + damping I)^-1 without recurrences, in the smaller of two forms.

    rows < weights    C C^T = A A^T + damping I,  T = C^-1 A,   F^-1 = (I - T^T T) / damping
    otherwise         L L^T = A^T A + damping I,                F^-1 = L^-T L^-1

The first never holds a matrix of weight x weight. It gives the numbers of the rank-one recurrence of WoodFisher and
M-FAC from two large products.

References: Singh & Alistarh, "WoodFisher" (NeurIPS 2020); Frantar, Kurtic & Alistarh, "M-FAC" (NeurIPS 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import damped_factor


@dataclass(frozen=True, kw_only=True)
class Inverse:
    """F^-1 = shift I + gain T^T T. Shape: factor (row, weight), floor (weight,)."""

    factor: Tensor
    shift: float
    gain: float
    floor: Tensor

    def diagonal(self) -> Tensor:
        """[F^-1]_ii, not below 1 / F_ii, which rounding could breach. Shape: -> weight."""
        lengths: Tensor = self.factor.norm(dim=0)
        return (self.shift + self.gain * lengths.square()).maximum(self.floor)

    def times(self, v: Tensor) -> Tensor:
        """F^-1 v. Shape: weight -> weight."""
        return self.shift * v + self.gain * (self.factor.T @ (self.factor @ v))


def invert(rows: Tensor, damping: float) -> Inverse:
    """F^-1 of a row matrix. Shape: row weight ->."""
    floor = 1.0 / (rows.norm(dim=0).square() + damping)
    if rows.shape[0] < rows.shape[1]:
        solved = torch.linalg.solve_triangular(damped_factor(rows @ rows.T, damping), rows, upper=False)
        return Inverse(factor=solved, shift=1.0 / damping, gain=-1.0 / damping, floor=floor)
    triangle = damped_factor(rows.T @ rows, damping)
    eye = torch.eye(len(triangle), dtype=rows.dtype)
    solved = torch.linalg.solve_triangular(triangle, eye, upper=False)
    return Inverse(factor=solved, shift=0.0, gain=1.0, floor=floor)


@dataclass(frozen=True, kw_only=True)
class BlockInverse:
    """F^-1 of a model whose blocks do not see each other."""

    blocks: tuple[slice, ...]
    inverses: tuple[Inverse, ...]

    def diagonal(self) -> Tensor:
        """[F^-1]_ii. Shape: -> weight."""
        return torch.cat([each.diagonal() for each in self.inverses])

    def times(self, v: Tensor) -> Tensor:
        """F^-1 v. Shape: weight -> weight."""
        return torch.cat([each.times(v[block]) for block, each in zip(self.blocks, self.inverses, strict=True)])


def invert_blocks(problem: Quadratic, blocks: tuple[slice, ...]) -> BlockInverse:
    """F^-1 of every block."""
    return BlockInverse(
        blocks=blocks, inverses=tuple(invert(problem.matrix[:, block], problem.damping) for block in blocks)
    )
