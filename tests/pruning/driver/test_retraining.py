from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.driver.retraining import retrain
from pruning.removal.masks import masks_of
from pruning.removal.weights import prune_weights
from pruning.scores.saliency import magnitude
from pruning.stage import Budget, Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs
from surrogate.learning.training import silent
from surrogate.spec import LBFGS, SobolevLoss, TrainingSpec
from surrogate.standardisation import to_raw

EvidenceOf = Callable[..., Evidence]
TUNING = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=5),))


@pytest.fixture
def sparse(trained: Network, dataset: Dataset, evidence_of: EvidenceOf) -> Network:
    return prune_weights(trained, Budget(unit="weights", count=59), evidence_of(dataset), score=magnitude).network


@pytest.mark.parametrize("retraining", ["cascade", "one_shot"])
def test_without_fine_tuning_nothing_happens_and_the_end_is_told(
    retraining: str, sparse: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    shares = list[float]()
    network, losses = retrain(sparse, evidence_of(dataset, retraining=retraining), shares.append, start=None)
    assert network is sparse
    assert not losses
    assert shares == [1.0]


def test_rewinding_is_the_mask_on_the_weights_and_biases_of_the_start(
    sparse: Network, dataset: Dataset, evidence_of: EvidenceOf, generator: torch.Generator
) -> None:
    start = initialise(sparse.widths, "silu", generator=generator)
    network, _ = retrain(sparse, evidence_of(dataset, retraining="rewind"), silent, start=start)
    for weight, origin, mask in zip(network.weights, start.weights, masks_of(sparse), strict=True):
        assert torch.equal(weight, origin * mask)
    assert all(torch.equal(a, b) for a, b in zip(network.biases, start.biases, strict=True))


def test_random_weights_are_those_of_a_fresh_network_in_normalised_units(
    sparse: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    evidence = evidence_of(dataset, retraining="random", generator=torch.Generator().manual_seed(5))
    network, _ = retrain(sparse, evidence, silent, start=None)
    fresh = initialise(sparse.widths, "silu", generator=torch.Generator().manual_seed(5))
    for weight, origin, mask in zip(
        network.weights, to_raw(fresh, evidence.standardisation).weights, masks_of(sparse), strict=True
    ):
        assert torch.equal(weight, origin * mask)


def test_fine_tuning_lowers_the_error_and_revives_nothing(
    sparse: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    network, losses = retrain(sparse, evidence_of(dataset, fine_tuning=TUNING), silent, start=None)
    assert losses
    for before, after in zip(masks_of(sparse), masks_of(network), strict=True):
        assert not (after & ~before).any()

    def error(candidate: Network) -> float:
        return float((outputs(candidate, dataset.x)[:, 0] - dataset.y).square().mean())

    assert error(network) < error(sparse)
