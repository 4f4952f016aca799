from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

import torch
from torch import Tensor

from pruning.quadratic.cbs import randomised, search, swaps_within
from pruning.quadratic.problem import Quadratic

RandomProblem = Callable[..., Quadratic]


def objective(problem: Quadratic, gone: Tensor) -> float:
    """f(P) by the definition."""
    return float((problem.matrix @ (problem.anchor * gone) - problem.residual).square().sum())


def test_the_loss_of_every_swap_is_the_loss_computed_afresh_and_falls(
    random_problem: RandomProblem, generator: torch.Generator
) -> None:
    problem = random_problem(20, [300])
    support = problem.keep(torch.rand(300, generator=generator, dtype=torch.float64), 90)
    effects = problem.matrix * problem.anchor
    swaps = search(effects, -problem.residual, support, torch.ones(300, dtype=torch.bool))
    assert len(swaps) > 20
    gone, losses = ~support, [objective(problem, ~support)]
    for leaves, enters, loss in swaps:
        assert gone[leaves]
        assert not gone[enters]
        gone[leaves], gone[enters] = False, True
        losses.append(objective(problem, gone))
        torch.testing.assert_close(loss, losses[-1], rtol=1e-8, atol=1e-8 * losses[0])
    assert gone.sum() == 210
    assert all(b < a for a, b in pairwise(losses))


def test_no_swap_is_left_that_lowers_the_loss_and_no_set_beats_the_exhaustive_search(
    random_problem: RandomProblem,
) -> None:
    optimal = 0
    for seed in range(15):
        generator = torch.Generator().manual_seed(seed)
        problem = random_problem(6, [12], generator=generator)
        effects = problem.matrix * problem.anchor
        support = randomised(problem, effects, 7, generator)
        gone = ~support
        for leaves, enters, _ in search(effects, -problem.residual, support, torch.ones_like(gone)):
            gone[leaves], gone[enters] = False, True
        least = objective(problem, gone)
        for leaves in gone.nonzero()[:, 0].tolist():
            for enters in (~gone).nonzero()[:, 0].tolist():
                other = gone.clone()
                other[leaves], other[enters] = False, True
                assert objective(problem, other) >= least * (1.0 - 1e-5)
        best = torch.inf
        for chosen in combinations(range(12), 5):
            other = torch.zeros(12, dtype=torch.bool)
            other[list(chosen)] = True
            best = min(best, objective(problem, other))
        assert least >= best * (1.0 - 1e-12)
        optimal += least <= best * (1.0 + 1e-9)
    assert optimal >= 5


def test_large_negative_weights_are_swapped_like_positive_ones(random_problem: RandomProblem) -> None:
    problem = random_problem(10, [40])
    effects = problem.matrix * problem.anchor
    mirrored = effects.clone()
    mirrored[:, ::2] *= -1.0
    signs = torch.ones(40, dtype=torch.float64)
    signs[::2] = -1.0
    support = problem.keep(problem.anchor.abs(), 10)
    free, start = torch.ones(40, dtype=torch.bool), -problem.residual
    # f depends on w_i A_i alone: turning the signs of a weight and its column changes nothing.
    assert search(effects, start, support, free) == search(mirrored * signs, start, support, free)


def test_weights_that_cancel_go_together(generator: torch.Generator) -> None:
    column = torch.randn(5, generator=generator, dtype=torch.float64)
    others = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    effects = torch.cat([3.0 * column[:, None], -3.0 * column[:, None], others], dim=1)
    gone = torch.tensor([False, True, True, False, False, False])
    swaps = swaps_within(effects, effects[:, gone].sum(dim=1), gone)
    assert swaps[-1][2] < 1e-12
    assert {swap[1] for swap in swaps} == {0}


def test_trials_keep_the_count_and_beat_magnitude_or_are_it(
    random_problem: RandomProblem, generator: torch.Generator
) -> None:
    problem = random_problem(8, [20, 5, 15])
    effects = problem.matrix * problem.anchor
    support = randomised(problem, effects, 11, generator)
    assert support.sum() == 11
    assert all(layer.any() for layer in torch.split(support, problem.sizes))
    magnitude = problem.keep(problem.anchor.abs(), 11)
    assert objective(problem, ~support) <= objective(problem, ~magnitude)
