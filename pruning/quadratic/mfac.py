"""WoodFisher, WoodTaylor and M-FAC: single-weight surgeries, superposed.

    cost_q = w_q^2 / (2 [F^-1]_qq),    d = -F^-1 sum_q e_q w_q / [F^-1]_qq   over all weights q that go

Every weight that goes is answered as if it went alone, which is cheap and overshoots where weights that go together do
the same. WoodTaylor starts from w - F^-1 g, g the gradient of the loss. M-FAC goes in rounds, each with new rows of the
weights that are left.

References: Singh & Alistarh, "WoodFisher: efficient second-order approximation for neural network compression"
(NeurIPS 2020); Frantar, Kurtic & Alistarh, "M-FAC: efficient matrix-free approximations of second-order information"
(NeurIPS 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.quadratic.expansion import HALVINGS, Expansion, expand, sample_loss
from pruning.quadratic.inverse import BlockInverse, invert_blocks
from pruning.quadratic.obs import cost
from pruning.quadratic.problem import Quadratic
from pruning.removal.rounds import prune_in_rounds
from pruning.rows import loss_rows
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network

# Rounds of M-FAC (the authors' choice).
ROUNDS = 16


def prune_woodfisher(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Superposed surgeries around weights that are taken for a minimum of the loss."""
    expansion = expand(network, evidence)
    problem = expansion.problem
    inverse = invert_blocks(problem, problem.blocks(evidence.spec.block))
    return expansion.cut(superpose(problem, inverse, problem.anchor, budget.count))


def prune_woodtaylor(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Superposed surgeries after a step of Newton's method."""
    expansion = expand(network, evidence)
    problem = expansion.problem
    inverse = invert_blocks(problem, problem.blocks(evidence.spec.block))
    start = newton_step(expansion, inverse, evidence)
    return expansion.cut(superpose(problem, inverse, start, budget.count))


def prune_mfac(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Superposed surgeries in rounds of equal density ratios."""
    return prune_in_rounds(network, budget, evidence, step=prune_woodfisher, rounds=ROUNDS, count=nearest_count)


def nearest_count(total: int, sparsity: float) -> int:
    """(1 - s) total to the nearest whole number of weights."""
    return int((1.0 - sparsity) * total + 0.5)


def superpose(problem: Quadratic, inverse: BlockInverse, start: Tensor, count: int) -> Tensor:
    """The weights after all surgeries, exactly ``count`` of them kept. Shape: -> weight."""
    diagonal = inverse.diagonal()
    support = problem.keep(cost(start, diagonal), count)
    zero = start.new_zeros(())
    return (start - inverse.times((start / diagonal).where(~support, zero))).where(support, zero)


def newton_step(expansion: Expansion, inverse: BlockInverse, evidence: Evidence) -> Tensor:
    """w - t F^-1 g with t the first of 1, 1/2, 1/4, ... that lowers the loss of the samples. Shape: -> weight.

    Rows see few directions of a large network, and in all others the damping alone limits a step along the gradient.
    """
    network, anchor = expansion.network, expansion.problem.anchor
    rows = loss_rows(network, evidence.dataset, evidence.spec.rows, evidence.generator)
    step = inverse.times(expansion.coordinates(rows.combine(torch.ones_like(rows.residual))))
    loss = sample_loss(network, evidence)
    for halvings in range(HALVINGS):
        candidate = anchor - step / 2.0**halvings
        if sample_loss(expansion.network_at(candidate), evidence) < loss:
            return candidate
    return anchor
