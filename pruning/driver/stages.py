"""The loop of all pruning: for every budget look at the samples, cut the network, repair it, and note what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from pricing.types import Progress
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network

# The network after retraining and the losses on the way; the same object where nothing was done.
Repaired = tuple[Network, Sequence[float]]


class Cutter(Protocol):
    """A cut down to a budget."""

    def __call__(self, network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
        """The network within the budget; ``again`` says that a stage went before."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What every stage of a run does.

    Args:
        look: what the cut may look at, given the network that the stage starts from.
        cut: down to the stage's budget.
        repair: retraining of what is left.
        restarts: whether every stage starts from the given network.
    """

    look: Callable[[Network], Evidence]
    cut: Cutter
    repair: Callable[[Network, Evidence, Progress], Repaired]
    restarts: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage was asked for, what its cut gave, and the network that its repair left."""

    budget: Budget
    cut: Cut
    network: Network
    losses: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The last network and all stages; ``bound`` is proven on |network - given|, None if nothing is."""

    network: Network
    bound: float | None
    stages: tuple[Stage, ...]


def run(given: Network, path: Sequence[Budget], course: Course, progress: Progress) -> RunResult:
    """Every budget of the path in turn, each stage from the network that the one before has left.

    Bounds of cuts add up by the triangle inequality, as long as nothing is retrained between them.
    """
    network, stages = given, list[Stage]()
    bound: float | None = 0.0
    with torch.enable_grad():
        for number, budget in enumerate(path):
            if course.restarts:
                network, bound = given, 0.0
            evidence = course.look(network)
            cut = course.cut(network, budget, evidence, again=number > 0)
            network, losses = course.repair(cut.network, evidence, _share(progress, number, len(path)))
            proven = cut.bound if network is cut.network else None
            bound = None if bound is None or proven is None else bound + proven
            stages.append(Stage(budget=budget, cut=cut, network=network, losses=losses))
    return RunResult(network=network, bound=bound, stages=tuple(stages))


def _share(progress: Progress, number: int, count: int) -> Progress:
    """Progress of one stage as progress of the whole."""

    def report(done: float) -> None:
        progress((number + done) / count)

    return report
