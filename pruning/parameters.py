"""A budget of parameters for methods that remove weights: how many weights it is worth shows only afterwards.

Weights that go take nodes and their biases with them (`pruning.compact`), more or fewer by the method; so the number of
weights is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable

from pruning.errors import ImpossibleSparsity
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.functions.network import Network


def prune_to_parameters(
    prune: Callable[[Network, Budget, Evidence], Cut],
    network: Network,
    budget: Budget,
    evidence: Evidence,
    *,
    least: int,
) -> Cut:
    """The cut with the most weights found that has at most ``budget.count`` parameters.

    Every trial sees the same random numbers.

    Args:
        prune: removes weights; cut down to fewer of them, a network nearly always has fewer parameters.
        least: the fewest weights that ``prune`` can keep.

    Raises:
        ImpossibleSparsity: no number of weights is few enough.
    """
    state, found = evidence.generator.get_state(), None
    low, high = least, size(network, "weights")
    while low <= high:
        middle = (low + high) // 2
        evidence.generator.set_state(state)
        cut = prune(network, Budget(unit="weights", count=middle), evidence)
        if size(cut.network, "parameters") <= budget.count:
            found, low = cut, middle + 1
        else:
            high = middle - 1
    if found is None:
        raise ImpossibleSparsity(
            f"parameters = {budget.count} cannot be met: {evidence.spec.method} left more at every number of weights; "
            "ask for more parameters or for another method"
        )
    return found
