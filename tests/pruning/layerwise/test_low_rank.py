from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from pruning.compact import compact
from pruning.errors import ImpossibleSparsity
from pruning.layerwise.low_rank import Factorisation, allocate, factors, forms, least_weights, prune_low_rank
from pruning.prune import prune
from pruning.spec import PruningSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs
from surrogate.spec import LBFGS, SobolevLoss, TrainingSpec

EvidenceOf = Callable[..., Evidence]


def matrix(f: int = 24, c: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randn(f, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def every_form(weight: torch.Tensor) -> list[Factorisation]:
    """The forms of a layer that has so many weights that none is too large."""
    return [form for form in forms(weight, 10 * weight.numel()) if form.rank > 0]


def test_one_block_is_the_best_approximation_of_its_rank() -> None:
    weight = matrix()
    values = np.linalg.svd(weight.numpy(), compute_uv=False)
    for form in (form for form in every_form(weight) if form.blocks == 1):
        encoder, decoder = factors(weight, form)
        lost = np.linalg.norm((weight - decoder @ encoder).numpy(), ord=2)
        tail = values[form.rank] if form.rank < len(values) else 0.0
        assert lost == pytest.approx(tail, abs=1e-12)
        assert form.error == pytest.approx(tail / values[0])


def test_full_rank_is_the_layer_itself() -> None:
    weight = matrix()
    for blocks in (1, 2, 3, 4, 6, 12):
        encoder, decoder = factors(weight, Factorisation(weights=0, error=0.0, blocks=blocks, rank=12 // blocks))
        torch.testing.assert_close(decoder @ encoder, weight)


def test_weights_and_errors_are_as_the_table_says() -> None:
    for weight in (matrix(), matrix(7, 30), matrix(1, 6)):
        for form in every_form(weight):
            encoder, decoder = factors(weight, form)
            assert int(encoder.count_nonzero() + decoder.count_nonzero()) == form.weights
            lost = np.linalg.norm((weight - decoder @ encoder).numpy(), ord=2)
            assert lost <= form.error * np.linalg.norm(weight.numpy(), ord=2) * (1.0 + 1e-9) + 1e-12


def test_without_its_root_the_bound_fails() -> None:
    """Two blocks that lose the same column direction: their errors add up."""
    block = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    weight = torch.cat([block, block], dim=1)
    (form,) = (form for form in every_form(weight) if form.blocks == 2 and form.rank == 1)
    encoder, decoder = factors(weight, form)
    lost = float(np.linalg.norm((weight - decoder @ encoder).numpy(), ord=2))
    largest = float(np.linalg.norm(weight.numpy(), ord=2))
    assert lost == pytest.approx(math.sqrt(2.0))
    assert lost == pytest.approx(form.error * largest)
    assert lost > form.error / math.sqrt(2.0) * largest * 1.4


def test_no_random_start_finds_a_better_allocation() -> None:
    tables = [forms(matrix(24, 12, seed), 24 * 12) for seed in range(4)]
    generator = np.random.default_rng(0)
    for count in (400, 600, 900, 1100):
        chosen = allocate(tables, count)
        assert sum(form.weights for form in chosen) <= count
        best = max(form.error for form in chosen)
        for _ in range(2000):
            other = [table[generator.integers(len(table))] for table in tables]
            if sum(form.weights for form in other) <= count:
                assert max(form.error for form in other) >= best


def test_more_weights_never_cost_accuracy() -> None:
    tables = [forms(matrix(24, 12, seed), 24 * 12) for seed in range(3)]
    worst = [max(form.error for form in allocate(tables, count)) for count in range(108, 865, 6)]
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] == 0.0
    with pytest.raises(ImpossibleSparsity, match="at least 108"):
        allocate(tables, 107)


def test_a_network_of_low_rank_is_found_to_be_one(dataset: Dataset, evidence_of: EvidenceOf) -> None:
    """Factors of rank 2 in the middle: a budget that holds them loses nothing, in raw units."""
    network = initialise((3, 20, 20, 1), "silu", generator=torch.Generator().manual_seed(1))
    thin = torch.rand(20, 2, dtype=torch.float64) @ torch.rand(2, 20, dtype=torch.float64)
    first = torch.rand(20, 1, dtype=torch.float64) @ torch.rand(1, 3, dtype=torch.float64)
    network = replace(network, weights=(first, thin, network.weights[2]))
    cut = prune_low_rank(network, Budget(unit="weights", count=20 + 3 + 80 + 20), evidence_of(dataset))
    assert cut.network.widths == (3, 1, 20, 2, 20, 1)
    assert cut.network.linear == {1, 3}
    torch.testing.assert_close(outputs(cut.network, dataset.x), outputs(network, dataset.x))


def test_factors_are_factored_anew(dataset: Dataset, evidence_of: EvidenceOf) -> None:
    network = initialise((3, 20, 20, 1), "silu", generator=torch.Generator().manual_seed(1))
    given = evidence_of(dataset)
    cut = network
    for count in (300, 200, least_weights(network)):
        cut = prune_low_rank(cut, Budget(unit="weights", count=count), given).network
        assert size(cut, "weights") <= count
        assert len(cut.weights) - len(cut.linear) == 3
    direct = prune_low_rank(network, Budget(unit="weights", count=count), given).network
    assert cut.widths == direct.widths
    assert least_weights(cut) == least_weights(network)


def test_a_target_below_rank_one_is_refused_before_any_work(trained: Network, dataset: Dataset) -> None:
    with pytest.raises(ImpossibleSparsity, match=f"keeps at least {least_weights(trained)}"):
        prune(trained, dataset, PruningSpec(method="alds", sparsity=0.99), generator=torch.Generator().manual_seed(0))


def test_biases_between_factors_are_carried_on(dataset: Dataset) -> None:
    network = initialise((3, 20, 20, 1), "silu", generator=torch.Generator().manual_seed(1))
    tuning = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=5),))
    spec = PruningSpec(method="alds", sparsity=0.5, fine_tuning=tuning)
    pruned = prune(network, dataset, spec, generator=torch.Generator().manual_seed(0)).network
    smaller = compact(pruned)
    assert pruned.linear
    assert all(not smaller.biases[layer - 1].any() for layer in smaller.linear)
    torch.testing.assert_close(outputs(smaller, dataset.x), outputs(pruned, dataset.x))
