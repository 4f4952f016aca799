"""Removal of single weights, by score or by CHITA; the network keeps its shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pruning.chita import Quadratic, solve
from pruning.masks import apply, masks_of, select
from pruning.rows import ROWS, gauss_newton
from pruning.stage import Budget, Cut, Evidence
from surrogate.network import Network
from surrogate.scaling import to_normalised, to_raw

# A ridge below this share of the squared length of a column does not keep a singular Gram matrix positive definite.
LEAST_RIDGE = 1e-10

# Scores of all weights of a network in normalised units. Shape: -> out in, per layer.
WeightScore = Callable[[Network, Evidence], tuple[Tensor, ...]]


def prune_weights(network: Network, budget: Budget, evidence: Evidence, *, score: WeightScore) -> Cut:
    """Keep the weights with the largest scores; those that no sample feels go first, one a layer stays."""
    normalised = to_normalised(network, evidence.scaling)
    felt = gauss_newton(normalised, evidence.dataset).absolute(torch.ones_like(evidence.dataset.y))
    last = torch.finfo(network.dtype).min
    scores = [part.where(effect > 0, last) for part, effect in zip(score(normalised, evidence), felt, strict=True)]
    return Cut(network=apply(network, select(scores, masks_of(network), budget.count)))


def prune_chita(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Keep and adjust weights so that the quadratic model of the loss rises least.

    The columns of A are scaled to length 1 and the weights inversely. A constraint on the number of weights does not
    see that, but steps, thresholds and ridge now measure a weight by what it does, not by its size.
    """
    normalised = to_normalised(network, evidence.scaling)
    masks = masks_of(network)
    rows = ROWS[evidence.spec.rows](normalised, evidence.dataset)
    matrix, residual = _condensed(rows.matrix(masks), rows.residual)
    scale = matrix.norm(dim=0)
    live = scale > 0
    scale = scale.where(live, 1.0)
    sizes = [int(mask.sum()) for mask in masks]
    anchor = torch.cat([weight[mask] for weight, mask in zip(normalised.weights, masks, strict=True)]) * scale
    problem = Quadratic(
        rows=matrix / scale,
        anchor=anchor,
        residual=residual,
        # lambda = c mean ||A_i||^2 / p, and the squares of columns of length 1 add up to p.
        ridge=max(evidence.spec.ridge, LEAST_RIDGE),
        priority=_priority(anchor, live, sizes),
    )
    found = solve(problem, budget.count).weights / scale
    weights = [
        torch.zeros_like(weight).masked_scatter(mask, part)
        for weight, mask, part in zip(normalised.weights, masks, torch.split(found, sizes), strict=True)
    ]
    return Cut(network=to_raw(replace(normalised, weights=tuple(weights)), evidence.scaling))


def _condensed(matrix: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """At most weight + 1 rows with the same ||A d + r|| for every d: the triangle of the QR factors of (A, r)."""
    if matrix.shape[0] <= matrix.shape[1] + 1:
        return matrix, residual
    triangle = torch.linalg.qr(torch.cat([matrix, residual[:, None]], dim=1), mode="r").R
    return triangle[:, :-1], triangle[:, -1]


def _priority(anchor: Tensor, live: Tensor, sizes: list[int]) -> Tensor:
    """The largest weight of every layer stays (+inf), weights without effect go first (-inf). Shape: -> weight."""
    priority = torch.zeros_like(anchor).masked_fill(~live, -torch.inf)
    score = anchor.abs() + priority
    start = 0
    for size in sizes:
        if size:
            priority[start + int(score[start : start + size].argmax())] = torch.inf
        start += size
    return priority
