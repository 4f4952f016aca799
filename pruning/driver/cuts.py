"""One cut of a method: only where the budget asks for it, with the number of weights that a budget of parameters is.

Weights that go take nodes and their biases with them (`pruning.compact`), more or fewer by the method; so the number of
weights is found by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from pruning.errors import ImpossibleSparsity, PruningError
from pruning.methods import METHODS, PruningMethod
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.functions.network import Network


def cut_to(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
    """The cut of the specification's method; the network itself where it is within the budget.

    Where ``again``, a method that refits has another look at a network of exactly the budget.

    Raises:
        PruningError: a weight or bias is not finite.
    """
    method = METHODS[evidence.spec.method]
    excess = size(network, budget.unit, protect_inputs=evidence.spec.protect_inputs) - budget.count
    promises = evidence.spec.promise is not None
    if not promises and (excess < 0 or (excess == 0 and not (again and method.refits))):
        return Cut(network=network, bound=0.0)
    return sound(_cut(method, network, budget, evidence), budget, evidence)


def sound(cut: Cut, budget: Budget, evidence: Evidence) -> Cut:
    """The cut, if its numbers are; what overflowed on the way proves nothing.

    Raises:
        PruningError: a weight or bias is not finite.
    """
    if not all(torch.isfinite(numbers).all() for numbers in (*cut.network.weights, *cut.network.biases)):
        raise PruningError(
            f"{evidence.spec.method} at a budget of {budget.count} {budget.unit} ended in numbers that are not finite; "
            "raise the ridge, or remove less in a stage"
        )
    return cut if cut.bound is None or math.isfinite(cut.bound) else replace(cut, bound=None)


def _cut(method: PruningMethod, network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """The method at the budget, or at the number of weights that it is."""
    if method.granularity == "weights" and budget.unit == "parameters":
        return prune_to_parameters(method.prune, network, budget, evidence, least=method.least_weights(network))
    return method.prune(network, budget, evidence)


def prune_to_parameters(
    prune: Callable[[Network, Budget, Evidence], Cut],
    network: Network,
    budget: Budget,
    evidence: Evidence,
    *,
    least: int,
) -> Cut:
    """The cut with the most weights that has at most ``budget.count`` parameters, of those that bisection tries.

    Every trial sees the same random numbers.

    Args:
        prune: removes weights; cut down to fewer of them, a network nearly always has fewer parameters.
        least: the fewest weights that ``prune`` can keep.

    Raises:
        ImpossibleSparsity: no number of weights is few enough.
    """
    state, best = evidence.generator.get_state(), None
    low, high = least, size(network, "weights")
    while low <= high:
        middle = (low + high) // 2
        evidence.generator.set_state(state)
        cut = prune(network, Budget(unit="weights", count=middle), evidence)
        if size(cut.network, "parameters") <= budget.count:
            best, low = cut, middle + 1
        else:
            high = middle - 1
    if best is None:
        raise ImpossibleSparsity(
            f"parameters = {budget.count} cannot be met: {evidence.spec.method} left more at every number of weights; "
            "ask for more parameters or for another method"
        )
    return best
