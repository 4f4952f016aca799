"""Optimal brain surgeon: what the loss rises by when weights go and all others answer.

With w~ the minimum of the quadratic model Q, removing the weights K costs 1/2 w~_K^T ([F^-1]_KK)^-1 w~_K and leaves

    w' = w~ - F^-1 E_K ([F^-1]_KK)^-1 w~_K,

the minimum of Q on the other weights. For a single weight q the cost is w~_q^2 / (2 [F^-1]_qq).

References: Hassibi & Stork, "Second order derivatives for network pruning: optimal brain surgeon" (NIPS 1993).
"""

from __future__ import annotations

from torch import Tensor

from pruning.quadratic.inverse import BlockInverse, invert_blocks
from pruning.quadratic.model import Model, expand
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network


def prune_obs(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Select by the cost of every weight alone, then remove all of them jointly."""
    expansion = expand(network, evidence)
    model = expansion.model
    blocks = model.blocks(evidence.spec.block)
    inverse = invert_blocks(model, blocks)
    support = model.keep(cost(minimum(model, inverse), inverse.diagonal()), budget.count)
    return expansion.cut(model.fit(support, blocks))


def cost(w: Tensor, diagonal: Tensor) -> Tensor:
    """w_q^2 / (2 [F^-1]_qq). Shape: weight, weight -> weight."""
    return w.square() / (2.0 * diagonal)


def minimum(model: Model, inverse: BlockInverse) -> Tensor:
    """The anchor less F^-1 A^T r, block after block as in `Model.fit`. Shape: -> weight."""
    w, error = model.anchor.clone(), model.residual
    for block, part in zip(inverse.blocks, inverse.parts, strict=True):
        rows = model.rows[:, block]
        step = -part.times(rows.T @ error)
        w[block] += step
        error = error + rows @ step
    return w
