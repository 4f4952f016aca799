from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.layerwise.pfp import (
    NodeChoice,
    counts_at,
    distinct,
    drawn,
    draws,
    partly_drawn,
    prune_pfp,
    rescale,
    surest,
)
from pruning.layerwise.sensitivity import sensitivities
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs
from surrogate.standardisation import to_normalised

PointsIn = Callable[..., torch.Tensor]

EvidenceOf = Callable[..., Evidence]
CHOICES: list[NodeChoice] = [surest, partly_drawn, drawn]


def scores_of(width: int, seed: int = 0) -> Tensor:
    return torch.rand(width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 3 + 1e-3


def clocks_of(width: int, generator: torch.Generator) -> Tensor:
    return torch.empty(width, dtype=torch.float64).exponential_(generator=generator)


def test_draws_of_layers_are_as_their_sums_of_sensitivities() -> None:
    layers = [scores_of(40, 1), scores_of(90, 2)]
    for accuracy in (1e-3, 0.1, 1.0):
        ratios = [draws(layer, accuracy) / float(layer.sum()) for layer in layers]
        assert ratios[0] == pytest.approx(ratios[1], rel=0.01)


def test_nodes_kept_fall_with_the_accuracy_asked_for() -> None:
    layers = [scores_of(40, 1), scores_of(90, 2), torch.zeros(5, dtype=torch.float64)]
    counts = [counts_at(layers, 10.0 ** (k / 4)) for k in range(-48, 48)]
    for finer, coarser in pairwise(counts):
        assert all(a >= b for a, b in zip(finer, coarser, strict=True))
    assert counts[0] == [40, 90, 1]
    assert counts[-1] == [1, 1, 1]


def test_the_expected_number_of_different_nodes() -> None:
    chances = scores_of(12) / scores_of(12).sum()
    generator = torch.Generator().manual_seed(1)
    seen = torch.multinomial(chances.expand(20_000, -1), 7, replacement=True, generator=generator)
    different = torch.nn.functional.one_hot(seen, 12).any(dim=1).sum(dim=1).double()
    assert abs(float(different.mean()) - distinct(chances, 7.0)) < 4.0 * float(different.std()) / 20_000**0.5


@pytest.mark.parametrize("choice", CHOICES)
def test_the_number_of_nodes_is_exact_and_all_of_them_stay_as_they_are(choice: NodeChoice) -> None:
    scores = scores_of(20)
    scores[[3, 8]] = 0.0
    generator = torch.Generator().manual_seed(2)
    for count in range(1, 21):
        factors = choice(scores, count, clocks_of(20, generator))
        assert int((factors > 0).sum()) == count
        assert count < 18 or torch.equal(factors[factors > 0], torch.ones(count, dtype=torch.float64))


@pytest.mark.parametrize("choice", [partly_drawn, drawn])
def test_what_is_drawn_is_unbiased(choice: NodeChoice) -> None:
    scores, generator = scores_of(8), torch.Generator().manual_seed(3)
    factors = torch.stack([choice(scores, 4, clocks_of(8, generator)) for _ in range(2000)])
    error = factors.mean(dim=0) - 1.0
    assert (error.abs() <= 4.0 * factors.std(dim=0) / len(factors) ** 0.5).all()


def test_nodes_come_up_as_in_draws_with_replacement() -> None:
    """The first two different nodes of repeated draws, against p_i p_j / (1 - p_i) + p_j p_i / (1 - p_j)."""
    scores, generator = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.Generator().manual_seed(4)
    kept = torch.stack([drawn(scores, 2, clocks_of(3, generator)) > 0 for _ in range(5000)])
    p = scores / scores.sum()
    for out in range(3):
        i, j = (k for k in range(3) if k != out)
        want = float(p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j]))
        share = float((~kept[:, out]).double().mean())
        assert abs(share - want) < 4.0 * (want * (1 - want) / 5000) ** 0.5


def test_rescaled_columns_leave_a_network_unbiased_below_its_last_layer() -> None:
    network = initialise((3, 10, 1), "tanh", generator=torch.Generator().manual_seed(5))
    x = torch.rand(16, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    generator, scores, ones = torch.Generator().manual_seed(7), scores_of(10), torch.ones(3, dtype=torch.float64)
    constants = (ones, torch.full((10,), 0.3, dtype=torch.float64))
    answers = torch.stack(
        [
            outputs(rescale(network, (ones, drawn(scores, 6, clocks_of(10, generator))), constants), x)[:, 0]
            for _ in range(2000)
        ]
    )
    error = answers.mean(dim=0) - outputs(network, x)[:, 0]
    assert (error.abs() <= 4.0 * answers.std(dim=0) / len(answers) ** 0.5).all()


def test_factors_of_one_and_zero_are_removal_with_folding(trained: Network, interval: Interval) -> None:
    middles = tuple(node.middle for node in enclose(trained, interval).nodes)
    factors = tuple((torch.arange(len(layer)) % 3 > 0).double() for layer in middles)
    smaller = rescale(trained, (torch.ones(3, dtype=torch.float64), *factors[1:]), middles)
    assert smaller.widths == (3, *(int(factor.sum()) for factor in factors[1:]), 1)
    carried = trained.biases[1] + trained.weights[1][:, factors[1] == 0] @ middles[1][factors[1] == 0]
    torch.testing.assert_close(smaller.biases[1], carried[factors[2] > 0])


def test_the_bound_holds_and_the_most_sensitive_stay(
    trained: Network, dataset: Dataset, interval: Interval, evidence_of: EvidenceOf, points_in: PointsIn
) -> None:
    given = evidence_of(dataset, domain=interval)
    for count in (16, 9, 4):
        cut = prune_pfp(trained, Budget(unit="nodes", count=count), given)
        assert cut.bound is not None
        x = points_in(interval, 2000)
        assert float((outputs(cut.network, x) - outputs(trained, x)).abs().max()) <= cut.bound
    scores = sensitivities(to_normalised(trained, given.standardisation), given)[1].amax(dim=0)
    kept = [int((row == trained.biases[0]).nonzero()[0]) for row in cut.network.biases[0]]
    assert set(kept) == set(scores.argsort(descending=True)[: len(kept)].tolist())


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("fold", ["middle", "mean"])
def test_parameters_and_inputs_are_budgets_too(
    choice: NodeChoice, fold: str, trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    given = evidence_of(dataset, fold=fold)
    for count in (100, 40, 9):
        cut = prune_pfp(trained, Budget(unit="parameters", count=count), given, choice=choice)
        assert count - 20 < size(cut.network, "parameters") <= count
        assert cut.network.weights[0].any(dim=0).all()
    free = evidence_of(dataset, fold=fold, protect_inputs=False)
    for count in (20, 10, 3):
        cut = prune_pfp(trained, Budget(unit="nodes", count=count), free, choice=choice)
        assert size(cut.network, "nodes", protect_inputs=False) == count


def test_layers_may_keep_the_same_share(trained: Network, dataset: Dataset, evidence_of: EvidenceOf) -> None:
    given = evidence_of(dataset, method="pfp", allocation="uniform")
    for count, hidden in ((9, (5, 4)), (4, (2, 2)), (18, (10, 8))):
        assert prune_pfp(trained, Budget(unit="nodes", count=count), given).network.widths == (3, *hidden, 1)
