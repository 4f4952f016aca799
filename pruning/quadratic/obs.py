"""Optimal brain surgeon: what the loss rises by when weights go and all others answer.

With w~ the minimum of the quadratic model Q, removing the weights K costs 1/2 w~_K^T ([F^-1]_KK)^-1 w~_K and leaves

    w' = w~ - F^-1 E_K ([F^-1]_KK)^-1 w~_K,

the minimum of Q on the other weights. For a single weight q the cost is w~_q^2 / (2 [F^-1]_qq).

References: Hassibi & Stork, "Second order derivatives for network pruning: optimal brain surgeon" (NIPS 1993).
"""

from __future__ import annotations

from torch import Tensor

from pruning.quadratic.expansion import expand
from pruning.quadratic.inverse import BlockInverse, invert_blocks
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network


def prune_obs(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Select by the cost of every weight alone, then remove all of them jointly."""
    expansion = expand(network, evidence)
    problem = expansion.problem
    blocks = problem.blocks(evidence.spec.block)
    inverse = invert_blocks(problem, blocks)
    support = problem.keep(cost(minimum(problem, inverse), inverse.diagonal()), budget.count)
    return expansion.restrained(fit(problem, support, blocks), evidence)


def cost(w: Tensor, diagonal: Tensor) -> Tensor:
    """w_q^2 / (2 [F^-1]_qq). Shape: weight, weight -> weight."""
    return w.square() / (2.0 * diagonal)


def minimum(problem: Quadratic, inverse: BlockInverse) -> Tensor:
    """The anchor less F^-1 A^T r, block after block as in `regression.fit`. Shape: -> weight."""
    w, error = problem.anchor.clone(), problem.residual
    for block, inverted in zip(inverse.blocks, inverse.inverses, strict=True):
        rows = problem.matrix[:, block]
        step = -inverted.times(rows.T @ error)
        w[block] += step
        error = error + rows @ step
    return w
