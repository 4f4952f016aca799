from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch

from pruning.removal.masks import masks_of
from pruning.removal.rounds import prune_in_rounds
from pruning.removal.weights import WeightScore, prune_weights
from pruning.scores.foresight import snip, synflow
from pruning.scores.saliency import magnitude
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise

EvidenceOf = Callable[..., Evidence]
by_magnitude = partial(prune_weights, score=magnitude)
every_score = pytest.mark.parametrize("score", [magnitude, snip, synflow])


@pytest.fixture
def evidence(dataset: Dataset, evidence_of: EvidenceOf) -> Evidence:
    return evidence_of(dataset)


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    return initialise((3, 40, 30, 1), "silu", generator=generator)


def asked_for(network: Network, evidence: Evidence, count: int, rounds: int) -> list[int]:
    """The budgets of all rounds."""
    counts = []

    def step(network: Network, budget: Budget, evidence: Evidence) -> Cut:
        counts.append(budget.count)
        return by_magnitude(network, budget, evidence)

    cut = prune_in_rounds(network, Budget(unit="weights", count=count), evidence, step=step, rounds=rounds)
    assert size(cut.network, "weights") == count
    return counts


def test_every_round_keeps_the_same_share(network: Network, evidence: Evidence) -> None:
    counts = [size(network, "weights"), *asked_for(network, evidence, 85, 4)]
    assert [after / before for before, after in pairwise(counts)] == pytest.approx([(85 / 1350) ** 0.25] * 4, abs=0.005)


def test_more_rounds_than_weights_to_remove_are_not_made(network: Network, evidence: Evidence) -> None:
    counts = asked_for(network, evidence, 1340, 100)
    assert counts == list(range(1349, 1339, -1))


def test_the_specification_decides_over_the_number_of_the_method(network: Network, evidence: Evidence) -> None:
    given = replace(evidence, spec=PruningSpec(method="snip_iterative", sparsity=0.5, rounds=7))
    assert len(asked_for(network, given, 85, 4)) == 7


@every_score
def test_one_round_is_one_shot(score: WeightScore, network: Network, evidence: Evidence) -> None:
    budget, step = Budget(unit="weights", count=20), partial(prune_weights, score=score)
    given = replace(evidence, spec=PruningSpec(method="snip_iterative", sparsity=0.5, rounds=1))
    once = prune_in_rounds(network, budget, given, step=step, rounds=100).network
    shot = step(network, budget, evidence).network
    assert all(torch.equal(a, b) for a, b in zip(once.weights, shot.weights, strict=True))


@every_score
def test_rounds_keep_the_values_of_what_they_keep(score: WeightScore, network: Network, evidence: Evidence) -> None:
    step = partial(prune_weights, score=score)
    cut = prune_in_rounds(network, Budget(unit="weights", count=9), evidence, step=step, rounds=100).network
    for weight, given, mask in zip(cut.weights, network.weights, masks_of(cut), strict=True):
        assert torch.equal(weight[mask], given[mask])
