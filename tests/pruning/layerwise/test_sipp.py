from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pruning.layerwise.sensitivity import SPREAD, needed, sensitivity
from pruning.layerwise.sipp import best_draws, fill, kept_error, prune_sipp, random_error
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network


def positive_row(width: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """A row of positive weights, nodes that are not negative, and its sensitivities."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.rand(1, width, generator=generator, dtype=torch.float64) + 0.1
    nodes = torch.rand(50, width, generator=generator, dtype=torch.float64)
    return weight, nodes, sensitivity(weight, nodes)


def many(scores: Tensor, repeats: int, draws: float, *, hybrid: bool = False) -> Tensor:
    """Factors of the same urn over and over. Shape: 1 in -> repeat in."""
    urns = fill(scores.expand(repeats, -1), torch.Generator().manual_seed(4))
    return urns.factors(torch.full((repeats,), draws, dtype=scores.dtype), hybrid=hybrid)


# From an urn that is empty three times of four, 1 weight of 120 kept, to two weights of three.
@pytest.mark.parametrize("draws", [0.25, 1.5, 20.0])
def test_the_drawn_weights_are_unbiased_at_any_real_number_of_draws(draws: float) -> None:
    _, _, scores = positive_row()
    factors = many(scores, 100_000, draws)
    error = factors.mean(dim=0) - 1.0
    assert (error.abs() < 4.0 * factors.std(dim=0) / len(factors) ** 0.5).all()
    assert ((factors > 0).sum(dim=1) <= math.ceil(draws)).all()
    if draws < 1.0:
        assert float(factors.any(dim=1).double().mean()) == pytest.approx(draws, abs=0.01)


def test_the_sums_of_a_sparse_layer_are_unbiased_and_its_rows_take_turns(generator: torch.Generator) -> None:
    weight = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    nodes = torch.rand(10, 6, generator=generator, dtype=torch.float64)
    scores = sensitivity(weight, nodes)
    chances = torch.cat([scores * (weight > 0), scores * (weight < 0)])
    # One allocation for all repetitions; 1 weight of 20 stays.
    scale = needed(chances.sum(dim=1))
    draws = best_draws(1e3, scale, torch.full_like(scale, 1.0 / len(weight)))
    sums, kept = list[Tensor](), list[Tensor]()
    for _ in range(20_000):
        positive, negative = fill(chances, generator).factors(draws, hybrid=False).chunk(2)
        factors = positive + negative
        kept.append(factors != 0)
        sums.append((weight * factors) @ nodes[0])
    outcomes, places = torch.stack(sums), torch.stack(kept)
    assert float(places.double().mean()) < 0.05
    error = outcomes.mean(dim=0) - weight @ nodes[0]
    assert (error.abs() < 4.0 * outcomes.std(dim=0) / len(outcomes) ** 0.5).all()
    assert places.any(dim=0).all()


def test_the_error_of_sums_stays_below_its_bound_as_often_as_promised() -> None:
    weight, nodes, scores = positive_row()
    failure, draws = 0.05, 25
    factors = many(scores, 4000, draws)
    sums, want = (factors * weight) @ nodes.T, weight @ nodes.T
    bound = random_error(torch.tensor([float(draws)]), needed(scores.sum(dim=1), failure))
    inside = ((sums - want).abs() <= bound * want).double().mean(dim=0)
    assert (inside >= 1.0 - failure).all()
    # With the bound of the samples themselves, C = 1, it is not vacuous.
    tight = random_error(torch.tensor([float(draws)]), needed(scores.sum(dim=1), failure) / SPREAD)
    assert ((sums - want).abs() <= tight * want).double().mean() >= 1.0 - failure
    assert float(tight) < 1.5


def test_dropping_weights_loses_their_share() -> None:
    weight, nodes, _ = positive_row()
    nodes = nodes[:1]
    scores = sensitivity(weight, nodes)
    kept = scores > scores.median()
    lost = 1.0 - (weight * kept) @ nodes[0] / (weight @ nodes[0])
    torch.testing.assert_close(SPREAD * lost, kept_error(scores, kept))


def test_the_allocation_is_the_optimum_of_the_convex_program() -> None:
    generator = torch.Generator().manual_seed(5)
    scale = 100.0 * torch.rand(12, generator=generator, dtype=torch.float64) + 1.0
    price = torch.rand(12, generator=generator, dtype=torch.float64)
    multiplier = 1e-3
    draws = best_draws(multiplier, scale, price).requires_grad_()
    (slope,) = torch.autograd.grad((price * random_error(draws, scale)).sum(), draws)
    torch.testing.assert_close(slope, torch.full_like(slope, -multiplier), rtol=1e-9, atol=0.0)
    optimum = (price * random_error(draws, scale)).sum()
    for _ in range(200):
        step = 0.1 * torch.randn(12, generator=generator, dtype=torch.float64)
        other = (draws + (step - step.mean())).clamp(min=1e-6)
        assert (price * random_error(other, scale)).sum() >= optimum - multiplier * (draws.sum() - other.sum()).abs()


def test_a_smaller_multiplier_draws_more_and_keeps_more() -> None:
    _, _, scores = positive_row()
    urns, scale = fill(scores, torch.Generator().manual_seed(6)), needed(scores.sum(dim=1))
    draws = [best_draws(10.0**-k, scale, torch.ones(1, dtype=torch.float64)) for k in range(-9, 12)]
    assert all((more > fewer).all() for fewer, more in pairwise(draws))
    kept = [int((urns.factors(m, hybrid=False) > 0).sum()) for m in draws]
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0, scores.shape[1])


def test_an_urn_with_a_draw_for_each_weight_stays_as_it_is() -> None:
    _, _, scores = positive_row()
    assert torch.equal(many(scores, 3, scores.shape[1]), torch.ones(3, scores.shape[1], dtype=torch.float64))


def test_the_hybrid_leaves_chance_out_where_its_bound_is_worse() -> None:
    _, _, scores = positive_row()
    for draws in (5, 20, 29):
        kept = torch.zeros_like(scores, dtype=torch.bool)
        kept[0, scores[0].argsort(descending=True)[:draws]] = True
        sure = kept_error(scores, kept) <= random_error(torch.tensor([float(draws)]), needed(scores.sum(dim=1)))
        factors = many(scores, 1, draws, hybrid=True)
        assert torch.equal(factors, kept.double() if sure else many(scores, 1, draws))


@pytest.mark.parametrize("hybrid", [False, True])
def test_the_number_of_weights_comes_close_to_the_budget(
    trained: Network, dataset: Dataset, hybrid: bool, evidence_of: Callable[..., Evidence]
) -> None:
    for count in (100, 60, 20):
        cut = prune_sipp(trained, Budget(unit="weights", count=count), evidence_of(dataset), hybrid=hybrid)
        assert 0.9 * count <= size(cut.network, "weights") <= count
        for before, after in zip(trained.biases, cut.network.biases, strict=True):
            assert torch.equal(before, after)
