from __future__ import annotations

from itertools import combinations

import pytest
import torch

from pruning.errors import PruningError
from pruning.quadratic.greedy import LARGEST_BLOCK, path, prune_obs_greedy
from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.model import Model
from pruning.quadratic.obs import cost, minimum
from pruning.spec import PruningSpec
from pruning.stage import Budget, Evidence
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import initialise
from surrogate.standardisation import fit_standardisation


def random_model(rows: int, sizes: list[int], generator: torch.Generator) -> Model:
    weights = sum(sizes)
    return Model(
        rows=torch.randn(rows, weights, generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
        ridge=0.1,
        sizes=sizes,
    )


@pytest.mark.parametrize("rows", [5, 30])
def test_every_step_takes_the_weight_without_which_the_loss_is_least(rows: int, generator: torch.Generator) -> None:
    model = random_model(rows, [14], generator)
    whole = model.blocks(None)
    kept = torch.ones(14, dtype=torch.bool)
    for q in path(model, whole, 13):
        losses = torch.full((14,), torch.inf, dtype=torch.float64)
        for candidate in kept.nonzero()[:, 0].tolist():
            left = kept.clone()
            left[candidate] = False
            losses[candidate] = model.loss(model.fit(left, whole))
        assert q == int(losses.argmin())
        kept[q] = False


def test_the_path_beats_choosing_all_at_once_and_no_set_beats_the_exhaustive_search() -> None:
    ratios, gains = [], []
    for seed in range(20):
        model = random_model(10, [10], torch.Generator().manual_seed(seed))
        whole = model.blocks(None)

        def loss(gone: tuple[int, ...] | list[int], model: Model = model) -> float:
            support = torch.ones(10, dtype=torch.bool)
            support[list(gone)] = False
            return model.loss(model.fit(support, model.blocks(None)))

        found = loss(path(model, whole, 6))
        best = min(loss(gone) for gone in combinations(range(10), 6))
        inverse = invert_blocks(model, whole)
        at_once = loss(cost(minimum(model, inverse), inverse.diagonal()).argsort()[:6].tolist())
        assert found >= best - 1e-12
        ratios.append(found / best)
        gains.append(found / at_once)
    assert sorted(ratios)[10] < 1.2
    assert sorted(gains)[10] < 1.0


def test_weights_without_effect_go_first_and_the_last_of_a_layer_stays(generator: torch.Generator) -> None:
    model = random_model(6, [3, 4, 1], generator)
    model.rows[:, 5] = 0.0
    order = path(model, model.blocks(2), 5)
    assert order[0] == 5
    assert len(set(order)) == 5
    assert sum(q < 3 for q in order) == 2
    assert 7 not in order


def test_blocks_that_do_not_share_rows_are_the_whole(generator: torch.Generator) -> None:
    model = random_model(12, [6, 6], generator)
    model.rows[:6, 6:] = 0.0
    model.rows[6:, :6] = 0.0
    assert path(model, model.blocks(6), 8) == path(model, model.blocks(None), 8)


def test_a_block_that_would_take_minutes_is_refused(generator: torch.Generator) -> None:
    x = torch.randn(4, 60, generator=generator, dtype=torch.float64)
    data = Dataset(x=x, y=x[:, 0])
    standardisation = fit_standardisation(data.x, data.y)
    evidence = Evidence(
        dataset=normalise(data, standardisation),
        standardisation=standardisation,
        training=data,
        domain=None,
        spec=PruningSpec(method="obs_greedy", sparsity=0.5, block=2 * LARGEST_BLOCK),
        generator=generator,
    )
    network = initialise((60, 40, 1), "tanh", generator=generator)
    with pytest.raises(PruningError, match="block"):
        prune_obs_greedy(network, Budget(unit="weights", count=10), evidence)
