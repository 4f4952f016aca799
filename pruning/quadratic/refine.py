"""Better supports than thresholding finds: exchange of weights, and elimination from a larger support.

On a support S with its least-squares weights and H = A_S^T A_S + damping I, removing weight i and refitting the others
costs w_i^2 / (2 [H^-1]_ii); weight j outside lowers Q by at most g_j^2 / (2 H_jj).

References: LeCun, Denker & Solla, "Optimal brain damage" (1990); Hassibi & Stork, "Second order derivatives for network
pruning: optimal brain surgeon" (1993) for the cost; Beck & Eldar, "Sparsity constrained nonlinear optimization" (2013)
for exchange.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import back_solve, damped_factor
from pruning.removal.masks import top

# Rounds of elimination, and the support that it starts from as a multiple of k; the share kept per round is constant.
ROUNDS = 10
START = 2.0
# The first exchange moves this share of the support; a failed one halves it, down to single weights.
SHARE = 0.1
# Single weights that may enter are tried in the order of what they promise, so many in a row without success.
PATIENCE = 8
# Accepted exchanges at most, per size of exchange.
EXCHANGES = 20


def removal_cost(problem: Quadratic, w: Tensor, support: Tensor) -> Tensor:
    """w_i^2 / [H^-1]_ii on the support, +inf for what must stay; 0 outside. Shape: weight, weight -> weight."""
    index = support.nonzero()[:, 0]
    columns = problem.columns(index).double()
    if columns.shape[0] < columns.shape[1]:
        # Woodbury: H^-1 = (I - A_S^T (damping I + A_S A_S^T)^-1 A_S) / damping.
        triangle = damped_factor(columns @ columns.T, problem.damping)
        inside = torch.linalg.solve_triangular(triangle, columns, upper=False).square().sum(dim=0)
        # float64 cancels where a weight is determined by its rows alone; it is then dear, never free.
        diagonal = (1.0 - inside).clamp(min=torch.finfo(inside.dtype).eps) / problem.damping
    else:
        diagonal = torch.cholesky_inverse(damped_factor(columns.T @ columns, problem.damping)).diagonal()
    cost = (w[index].double().square() / diagonal).to(w.dtype) + problem.priority[index]
    cost = cost.clamp(min=torch.finfo(w.dtype).min)  # a weight without effect goes first, but belongs to the support
    return torch.zeros_like(w).index_put((index,), cost)


def drop(problem: Quadratic, support: Tensor, w: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` weights of a support whose removal would cost most, fitted. Shape: weight, weight ->."""
    cost = removal_cost(problem, w, support)
    kept = top(cost.where(support, -torch.inf), count)
    return kept, back_solve(problem, kept)


def eliminate(problem: Quadratic, near: Tensor, count: int, rounds: int) -> Tensor:
    """Weights after rounds of fit and removal from the support of the 2 k largest of ``near``. Shape: weight ->."""
    size = min(int(START * count), len(near))
    support = problem.support(near, size)
    w = back_solve(problem, support)
    for turn in range(1, rounds + 1):
        target = round(size * (count / size) ** (turn / rounds))
        support, w = drop(problem, support, w, target)
    return w


def exchange(problem: Quadratic, support: Tensor, w: Tensor) -> tuple[Tensor, tuple[float, ...]]:
    """Swap weights inside for weights outside while Q falls; the weights, and Q after every accepted exchange.

    Shape: weight, weight -> weight.
    """
    count, losses = int(support.sum()), [problem.loss(w)]
    moved = max(1, int(SHARE * count))
    while moved and not support.all():
        promise = problem.gradient(w).square() + problem.priority
        order = torch.topk(promise.where(~support, -torch.inf), min(moved * PATIENCE, int((~support).sum()))).indices
        for entering in torch.split(order, moved)[: PATIENCE if moved == 1 else 1]:
            wider = support.index_fill(0, entering, True)
            kept, fitted = drop(problem, wider, back_solve(problem, wider), count)
            if (loss := problem.loss(fitted)) < losses[-1] * (1.0 - 1e-9):
                support, w = kept, fitted
                losses.append(loss)
                break
        else:
            moved //= 2
        if len(losses) > EXCHANGES:
            break
    return w, tuple(losses[1:])
