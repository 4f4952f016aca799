from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.removal.masks import masks_of
from pruning.removal.weights import felt, prune_weights
from pruning.scores.saliency import magnitude
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise, outputs
from surrogate.standardisation import to_normalised

EvidenceOf = Callable[..., Evidence]


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_weight_is_felt_if_and_only_if_it_moves_an_output(
    activation: ActivationName, generator: torch.Generator
) -> None:
    """Every weight in turn is changed; positive weights and inputs cancel nowhere."""
    network = initialise((3, 4, 4, 2), activation, generator=generator)
    weights = [weight.abs() for weight in network.weights]
    weights[1][:, 2] = 0.0
    weights[2][:, 1] = 0.0
    # Of the first layer one node is never open, where the activation can be shut.
    bias = torch.where(torch.arange(4) == 3, -100.0 if activation == "relu" else 0.0, 0.1).double()
    network = replace(network, weights=tuple(weights), biases=(bias, *network.biases[1:]))
    x = torch.rand(20, 3, generator=generator, dtype=torch.float64)
    x[:, 1] = 0.0
    before = outputs(network, x)
    for layer, mask in enumerate(felt(network, Dataset(x=x, y=before))):
        for row, column in torch.cartesian_prod(*map(torch.arange, mask.shape)).tolist():
            changed = [weight.clone() for weight in network.weights]
            changed[layer][row, column] += 1e-3
            moves = not torch.equal(outputs(replace(network, weights=tuple(changed)), x), before)
            assert bool(mask[row, column]) == moves


def test_what_cancels_in_a_sample_is_felt_all_the_same() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    network = Network(
        weights=(torch.ones(2, 1, dtype=torch.float64), torch.tensor([[1.0, -1.0]], dtype=torch.float64)),
        biases=(torch.zeros(2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)),
        activation="identity",
    )
    assert not outputs(network, one).any()
    assert all(mask.all() for mask in felt(network, Dataset(x=one, y=one[:, 0])))


def test_the_largest_scores_of_the_whole_network_stay_as_they_are(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence = evidence_of(dataset)
    cut = prune_weights(trained, Budget(unit="weights", count=40), evidence, score=magnitude)
    assert size(cut.network, "weights") == 40
    assert cut.bound is None
    scores, masks = magnitude(to_normalised(trained, evidence.standardisation), evidence), masks_of(cut.network)
    gone = max(float(score[~mask].max()) for score, mask in zip(scores, masks, strict=True))
    for score, mask, before, after in zip(scores, masks, trained.weights, cut.network.weights, strict=True):
        assert torch.equal(after[mask], before[mask])
        # The largest of a layer stays in any case.
        assert (score[mask].sort().values[:-1] >= gone).all()


def test_what_no_sample_feels_goes_before_anything_that_is_ranked(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    still = replace(dataset, x=dataset.x.clone())
    still.x[:, 0] = 0.5
    large = replace(trained, weights=(trained.weights[0].clone(), *trained.weights[1:]))
    large.weights[0][:, 0] = 9.0
    budget = Budget(unit="weights", count=size(large, "weights") - 10)
    cut = prune_weights(large, budget, evidence_of(still), score=magnitude).network
    assert not cut.weights[0][:, 0].any()
    assert all(after.all() for after in (cut.weights[0][:, 1:], *cut.weights[1:]))
