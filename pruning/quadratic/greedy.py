"""The greedy path of the optimal brain surgeon: one weight at a time, everything answers, score again.

Removing q from the quadratic model takes c c^T off the inverse, c = F^-1 e_q / sqrt([F^-1]_qq), and c w_q / c_q off the
weights. Vectors c are kept in place of a changing inverse, so a step reads them once and writes one.

References: Hassibi & Stork, "Second order derivatives for network pruning: optimal brain surgeon" (NIPS 1993).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.quadratic.expansion import expand
from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.obs import cost, minimum
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit
from pruning.spec import LARGEST_GREEDY_BLOCK
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network

# What networks with more weights are cut into; about the 500 that the authors of CHITA take.
DEFAULT_BLOCK = 512


def prune_obs_greedy(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Remove the weight that costs least, let all others of its block answer, score again."""
    expansion = expand(network, evidence)
    problem, size = expansion.problem, evidence.spec.block
    if size is None and len(problem.anchor) > LARGEST_GREEDY_BLOCK:
        size = DEFAULT_BLOCK
    blocks = problem.blocks(size)
    support = torch.ones_like(problem.anchor, dtype=torch.bool)
    support[path(problem, blocks, len(support) - budget.count)] = False
    return expansion.restrained(fit(problem, support, problem.blocks(evidence.spec.block)), evidence)


def path(problem: Quadratic, blocks: tuple[slice, ...], steps: int) -> list[int]:
    """The weights that go, first to last: those without effect first, never the last one of a layer."""
    inverse = invert_blocks(problem, blocks)
    w, diagonal = minimum(problem, inverse), inverse.diagonal()
    least = torch.cat([each.floor for each in inverse.inverses])
    dense = [each.times(torch.eye(len(each.floor), dtype=w.dtype)) for each in inverse.inverses]
    taken = [torch.empty_like(matrix) for matrix in dense]
    owner, layer = _numbered([len(matrix) for matrix in dense]), _numbered(problem.sizes)
    counts, left = [0] * len(blocks), list(problem.sizes)
    # Added to the costs: -inf goes first, +inf is gone or has to stay.
    rank = torch.zeros_like(w).masked_fill(~problem.matrix.any(dim=0), -torch.inf)
    rank[torch.tensor([size == 1 for size in left])[layer]] = torch.inf
    scores, gone = cost(w, diagonal) + rank, list[int]()
    for _ in range(steps):
        q = int(scores.argmin())
        number, at = int(owner[q]), int(layer[q])
        block, seen = blocks[number], taken[number][: counts[number]]
        own = q - block.start
        column = dense[number][own] - seen[:, own] @ seen
        column /= column[own].clamp(min=least[q]).sqrt()
        w[block] -= column * (w[q] / column[own])
        diagonal[block] = (diagonal[block] - column.square()).maximum(least[block])
        taken[number][counts[number]] = column
        counts[number] += 1
        gone.append(q)
        left[at] -= 1
        rank[q] = torch.inf
        if left[at] == 1:
            rank[layer == at] = torch.inf
            scores = scores + rank
        scores[block] = cost(w[block], diagonal[block]) + rank[block]
    return gone


def _numbered(sizes: list[int]) -> Tensor:
    """The number of the run that each entry belongs to, runs of these sizes one after the other."""
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
