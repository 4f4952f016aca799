"""The rows of many weights as their factors: products by matrix multiplication, columns only on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Factored:
    """A diag(1 / scale), its columns those of some weights: A v = sum_l rowdot(left_l V_l, right_l).

    Args:
        left, right: as in `Rows`, one term after the other. Shape: (term row, out), (term row, in).
        rows: number of rows.
        index: which of all weights have a column, in order. Shape: (column,).
        inverse: 1 / scale. Shape: (column,).
    """

    left: tuple[Tensor, ...]
    right: tuple[Tensor, ...]
    rows: int
    index: Tensor
    inverse: Tensor

    @property
    def _sizes(self) -> list[int]:
        return [left.shape[1] * right.shape[1] for left, right in zip(self.left, self.right, strict=True)]

    def __matmul__(self, v: Tensor) -> Tensor:
        """A v. Shape: column -> row."""
        whole = v.new_zeros(sum(self._sizes)).index_copy(0, self.index, v * self.inverse)
        image = torch.zeros_like(self.left[0][:, 0])
        for left, right, layer in zip(self.left, self.right, torch.split(whole, self._sizes), strict=True):
            image = image + ((right @ layer.view(left.shape[1], right.shape[1]).T) * left).sum(dim=1)
        return image.view(-1, self.rows).sum(dim=0)

    def transposed(self, u: Tensor) -> Tensor:
        """A^T u. Shape: row -> column."""
        terms = u.repeat(len(self.left[0]) // self.rows)[:, None]
        layers = [((terms * left).T @ right).flatten() for left, right in zip(self.left, self.right, strict=True)]
        return torch.cat(layers)[self.index] * self.inverse

    def columns(self, index: Tensor) -> Tensor:
        """Some columns explicitly. Shape: chosen -> row chosen."""
        chosen, start, layers = self.index[index], 0, list[Tensor]()
        for left, right, size in zip(self.left, self.right, self._sizes, strict=True):
            own = chosen[(chosen >= start) & (chosen < start + size)] - start
            inputs = right.shape[1]
            layers.append(left.T.contiguous()[own // inputs] * right.T.contiguous()[own % inputs])
            start += size
        whole = torch.cat(layers)
        return (whole.view(len(whole), -1, self.rows).sum(dim=1) * self.inverse[index, None]).T


def factored(rows: Rows, index: Tensor, scale: Tensor, dtype: torch.dtype) -> Factored:
    """The columns ``index`` of rows, divided by ``scale``. Shape: column, column ->."""

    def flat(factors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        # Numbers below the least normal one would slow every product down a hundredfold and weigh nothing.
        least = torch.finfo(dtype).tiny
        return tuple(
            torch.where(each.abs() < least, each.new_zeros(()), each).flatten(end_dim=1).to(dtype) for each in factors
        )

    return Factored(
        left=flat(rows.left),
        right=flat(rows.right),
        rows=len(rows.residual),
        index=index,
        inverse=(1.0 / scale).to(dtype),
    )
