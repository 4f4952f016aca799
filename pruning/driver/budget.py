"""From a specification to the budgets of all stages, with impossible targets refused before any work."""

from __future__ import annotations

import torch

from pruning.counting.targets import Shape, counts
from pruning.layerwise.low_rank import least_weights
from pruning.spec import PruningSpec
from pruning.stage import Budget
from surrogate.functions.network import Network


def budgets(network: Network, spec: PruningSpec) -> tuple[Budget, ...]:
    """One budget a stage along the schedule; the last is the target itself.

    Raises:
        ImpossibleSparsity: the target or the start of the schedule leaves no network.
    """
    unit, numbers = counts(shape_of(network), spec)
    return tuple(Budget(unit=unit, count=number) for number in numbers)


def shape_of(network: Network) -> Shape:
    """A network, as far as counting goes."""
    numbers = (*network.weights, *network.biases)
    return Shape(
        widths=network.widths,
        least_factored=least_weights(network),
        present=sum(int(torch.count_nonzero(part)) for part in numbers),
    )
