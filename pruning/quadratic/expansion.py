"""From a network to the quadratic model of its loss, and from the model's weights back to a network.

The model has a column for every weight that is not 0. Columns are scaled to length 1 and weights inversely: thresholds
and damping then measure a weight by what it does, and the ridge rule lambda = c mean ||A_i||^2 / p of the specification
reads damping = n lambda = c.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic, restricted
from pruning.removal.masks import masks_of
from pruning.rows import model_rows
from pruning.stage import Cut, Evidence
from surrogate.functions.network import Network
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.spec import SobolevLoss
from surrogate.standardisation import Standardisation, to_normalised, to_raw

# Damping below this share of the squared length of a column does not keep a singular Gram matrix positive definite.
LEAST_DAMPING = 1e-10
# Length of a column, as a share of the longest, below which no row sees the weight.
UNSEEN = 1e-12
# A step of less than a millionth part that does not lower the loss is given up.
HALVINGS = 20


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A network with the model of its loss, and the way back.

    Args:
        network: the units that the model is stated in.
        standardisation: takes those to raw units.
        scale: what the weights were multiplied with. Shape: (weight,).
    """

    problem: Quadratic
    network: Network
    standardisation: Standardisation
    scale: Tensor

    def coordinates(self, derivatives: tuple[Tensor, ...]) -> Tensor:
        """A derivative by the weights in the model's coordinates. Shape: out in, per layer -> weight."""
        return living(self.network, derivatives) / self.scale

    def network_at(self, w: Tensor) -> Network:
        """The network with these weights, in the units of the model. Shape: weight ->."""
        return with_weights(self.network, w.double() / self.scale)

    def raw(self, w: Tensor) -> Network:
        """The network with these weights, raw units. Shape: weight ->."""
        return to_raw(self.network_at(w), self.standardisation)

    def loss(self, w: Tensor, evidence: Evidence) -> float:
        """The loss of the samples with these weights, not that of the model. Shape: weight ->."""
        return sample_loss(to_normalised(self.raw(w), evidence.standardisation), evidence)

    def cut(self, w: Tensor) -> Cut:
        """The network with these weights, raw units, and Q of them. Shape: weight ->."""
        return Cut(network=self.raw(w), objective=self.problem.loss(w))

    def restrained(self, w: Tensor, evidence: Evidence) -> Cut:
        """The cut at w0_S + t (w - w0_S), S the support of w: t the first of 1, 1/2, 1/4, ... that lowers the loss.

        The loss is that of the samples, compared with t = 0, where the others go and those of S do not answer. Rows are
        straight lines of a curved function: where training has not converged, or more rows than weights leave a fit no
        freedom, the least of Q can lie where they say nothing any more. Shape: weight ->.
        """
        start = restricted(self.problem.anchor, w != 0)
        if evidence.spec.safeguard is False or torch.equal(w, start):
            return self.cut(w)
        loss = self.loss(start, evidence)
        for halvings in range(HALVINGS):
            candidate = start + (w - start) / 2.0**halvings
            if self.loss(candidate, evidence) < loss:
                return self.cut(candidate)
        return self.cut(start)


def expand(network: Network, evidence: Evidence) -> Expansion:
    """The model of a network in raw units.

    Raises:
        PruningError: the rows would not fit into memory.
    """
    normalised = to_normalised(network, evidence.standardisation)
    masks = masks_of(network)
    rows = model_rows(normalised, evidence.dataset, evidence.spec, evidence.generator)
    matrix, residual = condensed(rows.matrix(masks), rows.residual)
    lengths = matrix.norm(dim=0)
    seen = lengths > UNSEEN * lengths.max()
    scale = lengths.where(seen, 1.0)
    anchor = living(normalised, normalised.weights) * scale
    problem = Quadratic(
        rows=(matrix / scale).where(seen, 0.0),
        residual=residual,
        anchor=anchor,
        damping=max(evidence.spec.ridge, LEAST_DAMPING),
        sizes=[int(mask.sum()) for mask in masks],
        priority=torch.zeros_like(anchor),
    )
    return Expansion(problem=problem, network=normalised, standardisation=evidence.standardisation, scale=scale)


def condensed(matrix: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """At most weight + 1 rows with the same ||A d + r|| for every d: the triangle of the QR factors of (A, r).

    Shape: row weight, row -> row weight, row.
    """
    if matrix.shape[0] <= matrix.shape[1] + 1:
        return matrix, residual
    triangle = torch.linalg.qr(torch.cat([matrix, residual[:, None]], dim=1), mode="r").R
    return triangle[:, :-1], triangle[:, -1]


def living(network: Network, values: tuple[Tensor, ...]) -> Tensor:
    """What stands in the places of weights that are not 0. Shape: out in, per layer -> weight."""
    return torch.cat([each[weight != 0] for weight, each in zip(network.weights, values, strict=True)])


def with_weights(network: Network, w: Tensor) -> Network:
    """The network with other values for its weights that are not 0. Shape: weight ->."""
    sizes = [int(torch.count_nonzero(weight)) for weight in network.weights]
    weights = [
        torch.zeros_like(weight).masked_scatter(weight != 0, values)
        for weight, values in zip(network.weights, torch.split(w, sizes), strict=True)
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
