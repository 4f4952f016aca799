"""Combinatorial brain surgeon: choose the weights that cancel one another, then answer for all of them jointly.

    minimise f(P) = ||sum_{i in P} w_i A_i - r||^2 over sets P of weights that go

Selection starts from the best of many randomised magnitude prunings and swaps a weight of P for another one as long as
f falls: with b_i = w_i A_i and v = sum_P b - r, the swap of i for j changes f by

    beta_j - alpha_i - 2 b_i . b_j,    alpha_i = 2 v . b_i - |b_i|^2,    beta_j = 2 v . b_j + |b_j|^2.

A round looks at the weights of largest alpha and least beta, and swaps among them on their Gram matrix alone.

References: Yu, Serra, Ramalingam & Zhe, "The combinatorial brain surgeon" (ICML 2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pruning.quadratic.expansion import expand
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network

# Randomised magnitude prunings, and the largest number of groups that one cuts the weights into (the authors' choice).
TRIALS = 50
LARGEST_CUT = 1000
# Weights of each kind that a round looks at; a round costs a pass over the rows, and as much for twice the window.
WINDOW = 128
# Rounds, and swaps in one: caps that stop what has all but converged.
ROUNDS = 100
SWAPS = 2 * WINDOW
# A swap that lowers f by a smaller share is rounding, or not worth it.
LEAST_FALL = 1e-6

# A weight that leaves P, one that enters it, and f after that.
Swap = tuple[int, int, float]


def prune_cbs(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Select by swaps, then the joint surgery of the optimal brain surgeon."""
    expansion = expand(network, evidence)
    problem = expansion.problem
    effects = problem.matrix * problem.anchor
    support = randomised(problem, effects, budget.count, evidence.generator)
    for leaves, enters, _ in search(effects, -problem.residual, support, _free(problem, support)):
        support[leaves], support[enters] = True, False
    return expansion.restrained(fit(problem, support, problem.blocks(None)), evidence)


def randomised(problem: Quadratic, effects: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The best of the magnitude pruning and of many that take the same share of random groups. Shape: -> weight."""
    size = len(problem.anchor)
    cuts = min(math.isqrt(size), LARGEST_CUT)
    order = problem.anchor.abs().argsort(descending=True)
    trials = [problem.keep(problem.anchor.abs(), count)]
    for _ in range(TRIALS):
        group, members = (torch.randperm(size, generator=generator) % cuts).sort(stable=True)
        first = torch.searchsorted(group, torch.arange(cuts))
        # Rank in the group; groups in random order where ranks are equal.
        shift = torch.rand(cuts, generator=generator, dtype=effects.dtype)
        scores = torch.empty_like(problem.anchor)
        scores[order[members]] = -(torch.arange(size) - first[group] + shift[group])
        trials.append(problem.keep(scores, count))
    supports = torch.stack(trials)
    errors = effects @ (~supports).to(effects.dtype).T - problem.residual[:, None]
    return supports[int(errors.square().sum(dim=0).argmin())]


def search(effects: Tensor, start: Tensor, support: Tensor, free: Tensor) -> list[Swap]:
    """Swaps of free weights that lower f, one after the other, v being ``start`` before anything goes.

    Shape: row weight, row, weight, weight ->.
    """
    squares, gone, swaps = effects.square().sum(dim=0), ~support, list[Swap]()
    for _ in range(ROUNDS):
        v = effects @ gone.to(effects.dtype) + start
        pull = 2.0 * (effects.T @ v)
        leaving = _largest((pull - squares).where(free & gone, -torch.inf))
        entering = _largest((-pull - squares).where(free & ~gone, -torch.inf))
        window = torch.cat([leaving, entering])
        better = swaps_within(effects[:, window], v, gone[window])
        if not better:
            break
        for i, j, loss in better:
            leaves, enters = int(window[i]), int(window[j])
            gone[leaves], gone[enters] = False, True
            swaps.append((leaves, enters, loss))
    return swaps


def swaps_within(effects: Tensor, v: Tensor, gone: Tensor) -> list[Swap]:
    """The best swap of a few weights, on what it leaves the best one, and so on. Shape: row weight, row, weight ->."""
    gram, pull, gone = effects.T @ effects, 2.0 * (effects.T @ v), gone.clone()
    squares, loss, swaps = gram.diagonal(), float(v.square().sum()), list[Swap]()
    for _ in range(SWAPS if len(gone) else 0):
        alpha = (pull - squares).where(gone, -torch.inf)
        beta = (pull + squares).where(~gone, torch.inf)
        change = beta - alpha[:, None] - 2.0 * gram
        i, j = divmod(int(change.argmin()), len(gone))
        if not float(change[i, j]) < -LEAST_FALL * loss:
            break
        loss = max(0.0, loss + float(change[i, j]))
        pull = pull + 2.0 * (gram[:, j] - gram[:, i])
        gone[i], gone[j] = False, True
        swaps.append((i, j, loss))
    return swaps


def _largest(scores: Tensor) -> Tensor:
    """Indices of the largest finite scores, a window of them at most. Shape: weight -> index."""
    largest = scores.topk(min(WINDOW, len(scores)))
    return largest.indices[largest.values > -torch.inf]


def _free(problem: Quadratic, support: Tensor) -> Tensor:
    """Weights that may be swapped: those with an effect, but one a layer that stays. Shape: weight -> weight."""
    free = problem.matrix.any(dim=0)
    kept = problem.anchor.abs().where(support, -1.0)
    start = 0
    for size in problem.sizes:
        if size:
            free[start + int(kept[start : start + size].argmax())] = False
        start += size
    return free
