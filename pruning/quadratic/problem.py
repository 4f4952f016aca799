"""The quadratic model of the loss that OBS, its descendants and CHITA prune by, in the coordinates of some weights.

    Q(w) = 1/2 ||A (w - w0) + r||^2 + damping / 2 ||w - w0||^2,    F = A^T A + damping I

with the dense weights w0, rows A and residuals r of `pruning.rows`. What is best removed is the sparse regression

    minimise Q(w)    subject to ||w||_0 <= k.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.quadratic.factored import Factored
from pruning.removal.masks import select, top

# Keeps the reciprocal of a weight finite.
SMALLEST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """Q around the anchor w0.

    Args:
        rows: A, a matrix or, of a large network, its factors. Shape: (row, weight).
        anchor: w0. Shape: (weight,).
        residual: r. Shape: (row,).
        sizes: number of weights in every layer.
        priority: what `support` adds to magnitudes: +inf always stays, -inf goes first. Shape: (weight,).
    """

    rows: Tensor | Factored
    anchor: Tensor
    residual: Tensor
    damping: float
    sizes: list[int]
    priority: Tensor

    @property
    def matrix(self) -> Tensor:
        """A as a matrix, for methods that need all of it. Shape: -> row weight."""
        return self.rows if isinstance(self.rows, Tensor) else self.rows.columns(torch.arange(len(self.anchor)))

    def transposed(self, u: Tensor) -> Tensor:
        """A^T u. Shape: row -> weight."""
        return self.rows.T @ u if isinstance(self.rows, Tensor) else self.rows.transposed(u)

    def columns(self, index: Tensor) -> Tensor:
        """A explicitly, some columns. Shape: column -> row column."""
        return self.rows[:, index] if isinstance(self.rows, Tensor) else self.rows.columns(index)

    def error(self, w: Tensor) -> Tensor:
        """A (w - w0) + r. Shape: weight -> row."""
        return self.rows @ (w - self.anchor) + self.residual

    def loss(self, w: Tensor) -> float:
        """Q(w). Shape: weight ->."""
        return self.loss_at(w, self.error(w))

    def loss_at(self, w: Tensor, error: Tensor) -> float:
        """Q(w) for a known error, summed in float64. Shape: weight, row ->."""
        return 0.5 * float(error.double().square().sum() + self.damping * (w - self.anchor).double().square().sum())

    def gradient(self, w: Tensor) -> Tensor:
        """dQ/dw. Shape: weight -> weight."""
        return self.gradient_at(w, self.error(w))

    def gradient_at(self, w: Tensor, error: Tensor) -> Tensor:
        """dQ/dw for a known error. Shape: weight, row -> weight."""
        return self.transposed(error) + self.damping * (w - self.anchor)

    def support(self, w: Tensor, count: int) -> Tensor:
        """The largest ``count`` weights by magnitude and priority. Shape: weight -> weight."""
        return top(w.abs() + self.priority, count)

    def threshold(self, w: Tensor, count: int) -> Tensor:
        """The largest ``count`` weights by magnitude and priority, the others 0. Shape: weight -> weight."""
        return restricted(w, self.support(w, count))

    def keep(self, scores: Tensor, count: int) -> Tensor:
        """The ``count`` largest scores, one a layer at least. Shape: weight -> weight.

        Weights that no row sees go first, the smallest of them before others.
        """
        unseen = ~self.matrix.any(dim=0)
        if unseen.any():
            scores = scores.where(~unseen, scores.min() - 1.0 - 1.0 / self.anchor.abs().clamp(min=SMALLEST))
        alive = torch.ones_like(scores, dtype=torch.bool)
        return torch.cat(select(torch.split(scores, self.sizes), torch.split(alive, self.sizes), count))

    def blocks(self, size: int | None) -> tuple[slice, ...]:
        """Runs of at most ``size`` weights of one layer, as even as they can be; without a size, one of all weights."""
        if size is None:
            return (slice(0, len(self.anchor)),)
        cuts, start = [], 0
        for layer in self.sizes:
            pieces = -(-layer // size)
            ends = [start + layer * piece // pieces for piece in range(1, pieces + 1)]
            cuts += [slice(a, b) for a, b in zip([start, *ends], ends, strict=False)]
            start += layer
        return tuple(cuts)


def restricted(w: Tensor, support: Tensor) -> Tensor:
    """The entries on a support, the others 0. Shape: weight, weight -> weight."""
    return w.where(support, w.new_zeros(()))
