"""What a benchmark of pruning methods needs to know of a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pricing.domain import Box
from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.spec import TrainingSpec

# Parameters up to which second-order training of a network takes about a second.
SMALL = 240


@dataclass(frozen=True, kw_only=True)
class BenchmarkCase:
    """A network to prune and a judge.

    Args:
        start: the random network that training started from; ``dense`` is what came of it.
        training: how ``dense`` was trained, and what is pruned before training.
        fine_tuning: the shorter training after a pruning step.
        polish: in its place for at most ``SMALL`` parameters, on ``few`` samples.
        scratch: how a network as small is trained from scratch in place of pruning a large one.
        score: figures of a network, the larger the better.
    """

    name: str
    dense: Network
    start: Network
    dataset: Dataset
    few: Dataset
    box: Box
    training: TrainingSpec
    fine_tuning: TrainingSpec
    polish: TrainingSpec
    scratch: TrainingSpec
    score: Callable[[Network], Mapping[str, float]]
