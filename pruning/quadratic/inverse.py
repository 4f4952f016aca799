"""F^-1 = (A^T A + ridge I)^-1 without recurrences, in the smaller of two forms.

    rows < weights    C C^T = A A^T + ridge I,  T = C^-1 A,   F^-1 = (I - T^T T) / ridge
    otherwise         L L^T = A^T A + ridge I,                F^-1 = L^-T L^-1

The first never holds a matrix of weight x weight. It gives the numbers of the rank-one recurrence of WoodFisher and
M-FAC from two large products.

References: Singh & Alistarh, "WoodFisher" (NeurIPS 2020); Frantar, Kurtic & Alistarh, "M-FAC" (NeurIPS 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.quadratic.chita import factor
from pruning.quadratic.model import Model


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


def invert(rows: Tensor, ridge: float) -> Inverse:
    """F^-1 of a row matrix. Shape: row weight ->."""
    floor = 1.0 / (rows.norm(dim=0).square() + ridge)
    if rows.shape[0] < rows.shape[1]:
        solved = torch.linalg.solve_triangular(factor(rows @ rows.T, ridge), rows, upper=False)
        return Inverse(factor=solved, shift=1.0 / ridge, gain=-1.0 / ridge, floor=floor)
    triangle = factor(rows.T @ rows, ridge)
    eye = torch.eye(len(triangle), dtype=rows.dtype)
    solved = torch.linalg.solve_triangular(triangle, eye, upper=False)
    return Inverse(factor=solved, shift=0.0, gain=1.0, floor=floor)


@dataclass(frozen=True, kw_only=True)
class BlockInverse:
    """F^-1 of a model whose blocks do not see each other."""

    blocks: tuple[slice, ...]
    parts: tuple[Inverse, ...]

    def diagonal(self) -> Tensor:
        """[F^-1]_ii. Shape: -> weight."""
        return torch.cat([part.diagonal() for part in self.parts])

    def times(self, v: Tensor) -> Tensor:
        """F^-1 v. Shape: weight -> weight."""
        return torch.cat([part.times(v[block]) for block, part in zip(self.blocks, self.parts, strict=True)])


def invert_blocks(model: Model, blocks: tuple[slice, ...]) -> BlockInverse:
    """F^-1 of every block."""
    return BlockInverse(blocks=blocks, parts=tuple(invert(model.rows[:, block], model.ridge) for block in blocks))
