"""Removal of weights in rounds, each by a fresh look at what the one before has left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pruning.counting.schedules import schedule
from pruning.counting.targets import kept_count
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.functions.network import Network


def prune_in_rounds(
    network: Network,
    budget: Budget,
    evidence: Evidence,
    *,
    step: Callable[[Network, Budget, Evidence], Cut],
    rounds: int,
    count: Callable[[int, float], int] = kept_count,
) -> Cut:
    """Cut in rounds that each keep the same share of the weights, exactly the budget in the last.

    Args:
        step: one cut, from the network that the round before has left.
        rounds: how many, unless ``PruningSpec.rounds`` says otherwise. A small network has fewer counts than rounds:
            the same count again would remove nothing, and is left out.
        count: weights that stay of so many at a sparsity.
    """
    alive = size(network, "weights")
    path = schedule("geometric", 0.0, 1.0 - budget.count / alive, evidence.spec.rounds or rounds)
    cut = Cut(network=network)
    for kept in (*(max(budget.count, count(alive, sparsity)) for sparsity in path[:-1]), budget.count):
        if kept < size(cut.network, "weights"):
            cut = step(cut.network, Budget(unit="weights", count=kept), evidence)
    return replace(cut, bound=None)
