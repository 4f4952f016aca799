from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch

from pricing.errors import InvalidSpec
from pruning.quadratic.greedy import path
from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.obs import cost, minimum
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit
from pruning.spec import LARGEST_GREEDY_BLOCK, PruningSpec

RandomProblem = Callable[..., Quadratic]


@pytest.mark.parametrize("rows", [5, 30])
def test_every_step_takes_the_weight_without_which_the_loss_is_least(rows: int, random_problem: RandomProblem) -> None:
    problem = random_problem(rows, [14])
    whole = problem.blocks(None)
    kept = torch.ones(14, dtype=torch.bool)
    for q in path(problem, whole, 13):
        losses = torch.full((14,), torch.inf, dtype=torch.float64)
        for candidate in kept.nonzero()[:, 0].tolist():
            left = kept.clone()
            left[candidate] = False
            losses[candidate] = problem.loss(fit(problem, left, whole))
        assert q == int(losses.argmin())
        kept[q] = False


def test_the_path_beats_choosing_all_at_once_and_no_set_beats_the_exhaustive_search(
    random_problem: RandomProblem,
) -> None:
    ratios, gains = [], []
    for seed in range(20):
        problem = random_problem(10, [10], generator=torch.Generator().manual_seed(seed))
        whole = problem.blocks(None)

        def loss(gone: tuple[int, ...] | list[int], problem: Quadratic = problem) -> float:
            support = torch.ones(10, dtype=torch.bool)
            support[list(gone)] = False
            return problem.loss(fit(problem, support, problem.blocks(None)))

        by_path = loss(path(problem, whole, 6))
        best = min(loss(gone) for gone in combinations(range(10), 6))
        inverse = invert_blocks(problem, whole)
        at_once = loss(cost(minimum(problem, inverse), inverse.diagonal()).argsort()[:6].tolist())
        assert by_path >= best - 1e-12
        ratios.append(by_path / best)
        gains.append(by_path / at_once)
    assert sorted(ratios)[10] < 1.2
    assert sorted(gains)[10] < 1.0


def test_weights_without_effect_go_first_and_the_last_of_a_layer_stays(random_problem: RandomProblem) -> None:
    problem = random_problem(6, [3, 4, 1])
    problem.matrix[:, 5] = 0.0
    order = path(problem, problem.blocks(2), 5)
    assert order[0] == 5
    assert len(set(order)) == 5
    assert sum(q < 3 for q in order) == 2
    assert 7 not in order


def test_blocks_that_do_not_share_rows_are_the_whole(random_problem: RandomProblem) -> None:
    problem = random_problem(12, [6, 6])
    problem.matrix[:6, 6:] = 0.0
    problem.matrix[6:, :6] = 0.0
    assert path(problem, problem.blocks(6), 8) == path(problem, problem.blocks(None), 8)


def test_a_block_that_would_take_minutes_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"block must be in \[1, 2048\], got 2049"):
        PruningSpec(method="obs_greedy", sparsity=0.5, block=LARGEST_GREEDY_BLOCK + 1)
