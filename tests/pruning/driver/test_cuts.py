from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch

from pruning.driver.cuts import cut_to, prune_to_parameters, sound
from pruning.errors import ImpossibleSparsity, PruningError
from pruning.removal.weights import prune_weights
from pruning.scores.saliency import magnitude, random
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network

EvidenceOf = Callable[..., Evidence]
by_magnitude = partial(prune_weights, score=magnitude)


def weights(count: int) -> Budget:
    return Budget(unit="weights", count=count)


@pytest.mark.parametrize("method", ["magnitude", "obs", "significance"])
def test_a_network_within_its_budget_is_left_alone(
    method: str, trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence = evidence_of(dataset, method=method)
    unit = "nodes" if method == "significance" else "weights"
    for again in (False, True):
        for spare in (0, 5):
            budget = Budget(unit=unit, count=size(trained, unit) + spare)  # type: ignore[arg-type]
            cut = cut_to(trained, budget, evidence, again=again)
            assert cut.network is trained
            assert cut.bound == 0.0


def test_only_a_method_that_refits_has_another_look_and_only_again(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence = evidence_of(dataset, method="chita")
    half = by_magnitude(trained, weights(59), evidence).network
    assert cut_to(half, weights(59), evidence, again=False).network is half
    refitted = cut_to(half, weights(59), evidence, again=True).network
    assert size(refitted, "weights") == 59
    assert not torch.equal(refitted.weights[0], half.weights[0])


@pytest.mark.parametrize("parameters", [100, 60, 25])
def test_no_more_weights_would_meet_a_budget_of_parameters(
    parameters: int, trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence, budget = evidence_of(dataset), Budget(unit="parameters", count=parameters)
    cut = prune_to_parameters(by_magnitude, trained, budget, evidence, least=3).network
    assert size(cut, "parameters") <= parameters
    one_more = by_magnitude(trained, weights(size(cut, "weights") + 1), evidence).network
    assert size(one_more, "parameters") > parameters


def test_every_trial_sees_the_same_random_numbers(trained: Network, dataset: Dataset, evidence_of: EvidenceOf) -> None:
    by_chance = partial(prune_weights, score=random)
    budget = Budget(unit="parameters", count=60)
    cut = prune_to_parameters(by_chance, trained, budget, evidence_of(dataset), least=3).network
    alone = by_chance(trained, weights(size(cut, "weights")), evidence_of(dataset)).network
    assert all(torch.equal(a, b) for a, b in zip(cut.weights, alone.weights, strict=True))


def test_a_budget_below_every_number_of_weights_is_refused(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    budget = Budget(unit="parameters", count=20)
    with pytest.raises(ImpossibleSparsity, match="left more at every number of weights"):
        prune_to_parameters(by_magnitude, trained, budget, evidence_of(dataset), least=90)


def test_what_overflowed_is_refused_or_proves_nothing(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence = evidence_of(dataset)
    broken = replace(trained, biases=(trained.biases[0] / 0.0, *trained.biases[1:]))
    with pytest.raises(PruningError, match="magnitude at a budget of 9 weights ended in numbers that are not finite"):
        sound(Cut(network=broken), weights(9), evidence)
    for bound, proven in ((1.5, 1.5), (torch.inf, None), (torch.nan, None), (None, None)):
        assert sound(Cut(network=trained, bound=bound), weights(9), evidence).bound == proven
