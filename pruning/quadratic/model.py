"""The quadratic model of the loss around a network's weights.

    Q(w) = 1/2 ||A d + r||^2 + ridge / 2 ||d||^2,   d = w - anchor,   F = A^T A + ridge I

with rows A and residuals r of `pruning.rows`, a column for every weight that is not 0. Columns are scaled to length 1
and weights inversely: thresholds and ridge then measure a weight by what it does, and the ridge rule
lambda = c mean ||A_i||^2 / p reads ridge = n lambda = c.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.masks import masks_of, select
from pruning.quadratic.chita import factor
from pruning.rows import ROWS
from pruning.stage import Cut, Evidence
from surrogate.functions.network import Network
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.spec import SobolevLoss
from surrogate.standardisation import to_normalised, to_raw

# A ridge below this share of the squared length of a column does not keep a singular Gram matrix positive definite.
LEAST_RIDGE = 1e-10
# Length of a column, as a share of the longest, below which no row sees the weight.
UNSEEN = 1e-12
# A step of less than a millionth part that does not lower the loss is given up.
HALVINGS = 20
# Keeps the reciprocal of a weight finite.
SMALLEST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Model:
    """Q around the anchor; ``sizes`` counts the weights of every layer.

    Shape: rows (row, weight); residual (row,); anchor (weight,).
    """

    rows: Tensor
    residual: Tensor
    anchor: Tensor
    ridge: float
    sizes: list[int]

    def loss(self, w: Tensor) -> float:
        """Q(w)."""
        d = w - self.anchor
        return 0.5 * float((self.rows @ d + self.residual).square().sum() + self.ridge * d.square().sum())

    def keep(self, scores: Tensor, count: int) -> Tensor:
        """The ``count`` largest scores, one a layer at least. Shape: weight -> weight.

        Weights that no row sees go first, the smallest of them before others.
        """
        unseen = ~self.rows.any(dim=0)
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

    def fit(self, support: Tensor, blocks: tuple[slice, ...]) -> Tensor:
        """The weights that lower Q most on a support, the others being 0; one block gives the minimum of Q there.

        Blocks are cut one after the other. What a block keeps is fitted to the error of its own cut and of what those
        before it have left, not to that of cuts to come: their own weights answer to those with smaller steps.
        Shape: weight -> weight.
        """
        w, error = self.anchor.where(support, self.anchor.new_zeros(())), self.residual
        for block in blocks:
            kept = support[block]
            rows = self.rows[:, block]
            error = error - rows @ self.anchor[block].where(~kept, 0.0)
            rows = rows[:, kept]
            deviation = _ridge_fit(rows, -error, self.ridge)
            error = error + rows @ deviation
            w[block] = w[block].masked_scatter(kept, w[block][kept] + deviation)
        return w


def _ridge_fit(rows: Tensor, target: Tensor, ridge: float) -> Tensor:
    """argmin ||A d - t||^2 + ridge ||d||^2 in the smaller of its two forms. Shape: row weight, row -> weight."""
    if rows.shape[0] < rows.shape[1]:
        return rows.T @ torch.cholesky_solve(target[:, None], factor(rows @ rows.T, ridge))[:, 0]
    return torch.cholesky_solve((rows.T @ target)[:, None], factor(rows.T @ rows, ridge))[:, 0]


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A network with the model of its loss, and the way back.

    Args:
        network: normalised units.
        scale: lengths of the columns before scaling, 1 for those that are 0. Shape: (weight,).
    """

    model: Model
    network: Network
    scale: Tensor
    evidence: Evidence

    def columns(self, parts: tuple[Tensor, ...]) -> Tensor:
        """A derivative by the weights in the model's coordinates. Shape: out in, per layer -> weight."""
        return _kept(self.network, parts) / self.scale

    def network_at(self, w: Tensor) -> Network:
        """The network with these weights, normalised units. Shape: weight ->."""
        return with_weights(self.network, w / self.scale)

    def cut(self, w: Tensor) -> Cut:
        """The network with these weights, raw units. Shape: weight ->."""
        return Cut(network=to_raw(self.network_at(w), self.evidence.standardisation))


def expand(network: Network, evidence: Evidence) -> Expansion:
    """The model of a network in raw units.

    Raises:
        PruningError: the rows would not fit into memory.
    """
    normalised = to_normalised(network, evidence.standardisation)
    masks = masks_of(network)
    rows = ROWS[evidence.spec.rows](normalised, evidence.dataset, evidence.generator)
    matrix, residual = condensed(rows.matrix(masks), rows.residual)
    lengths = matrix.norm(dim=0)
    seen = lengths > UNSEEN * lengths.max()
    scale = lengths.where(seen, 1.0)
    model = Model(
        rows=(matrix / scale).where(seen, 0.0),
        residual=residual,
        anchor=_kept(normalised, normalised.weights) * scale,
        ridge=max(evidence.spec.ridge, LEAST_RIDGE),
        sizes=[int(mask.sum()) for mask in masks],
    )
    return Expansion(model=model, network=normalised, scale=scale, evidence=evidence)


def with_weights(network: Network, w: Tensor) -> Network:
    """The network with other values for its weights that are not 0. Shape: weight ->."""
    sizes = [int(torch.count_nonzero(weight)) for weight in network.weights]
    weights = [
        torch.zeros_like(weight).masked_scatter(weight != 0, part)
        for weight, part in zip(network.weights, torch.split(w, sizes), strict=True)
    ]
    return replace(network, weights=tuple(weights))


def sample_loss(network: Network, evidence: Evidence) -> float:
    """The loss that the rows of the specification model, on their samples; the network in their units."""
    loss = SobolevLoss(order=1 if evidence.spec.rows == "sobolev" else 0)
    objective = Objective(
        network=network,
        dataset=evidence.dataset,
        weights=loss_weights(evidence.dataset, loss),
        free=free_coordinates(network, None),
    )
    return float(objective.loss(objective.start()))


def _kept(network: Network, parts: tuple[Tensor, ...]) -> Tensor:
    """Entries of the weights that are not 0. Shape: out in, per layer -> weight."""
    return torch.cat([part[weight != 0] for weight, part in zip(network.weights, parts, strict=True)])


def condensed(matrix: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """At most weight + 1 rows with the same ||A d + r|| for every d: the triangle of the QR factors of (A, r)."""
    if matrix.shape[0] <= matrix.shape[1] + 1:
        return matrix, residual
    triangle = torch.linalg.qr(torch.cat([matrix, residual[:, None]], dim=1), mode="r").R
    return triangle[:, :-1], triangle[:, -1]
