from __future__ import annotations

from itertools import combinations, pairwise

import torch
from torch import Tensor

from pruning.quadratic.cbs import randomised, search, swaps_within
from pruning.quadratic.model import Model


def random_model(rows: int, sizes: list[int], generator: torch.Generator) -> Model:
    weights = sum(sizes)
    return Model(
        rows=torch.randn(rows, weights, generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
        ridge=0.1,
        sizes=sizes,
    )


def objective(model: Model, gone: Tensor) -> float:
    """f(P) by the definition."""
    return float((model.rows @ (model.anchor * gone) - model.residual).square().sum())


def test_the_loss_of_every_swap_is_the_loss_computed_afresh_and_falls(generator: torch.Generator) -> None:
    model = random_model(20, [300], generator)
    support = model.keep(torch.rand(300, generator=generator, dtype=torch.float64), 90)
    effects = model.rows * model.anchor
    swaps = search(effects, -model.residual, support, torch.ones(300, dtype=torch.bool))
    assert len(swaps) > 20
    gone, losses = ~support, [objective(model, ~support)]
    for leaves, enters, loss in swaps:
        assert gone[leaves]
        assert not gone[enters]
        gone[leaves], gone[enters] = False, True
        losses.append(objective(model, gone))
        torch.testing.assert_close(loss, losses[-1], rtol=1e-8, atol=1e-8 * losses[0])
    assert gone.sum() == 210
    assert all(b < a for a, b in pairwise(losses))


def test_no_swap_is_left_that_lowers_the_loss_and_no_set_beats_the_exhaustive_search() -> None:
    optimal = 0
    for seed in range(15):
        generator = torch.Generator().manual_seed(seed)
        model = random_model(6, [12], generator)
        effects = model.rows * model.anchor
        support = randomised(model, effects, 7, generator)
        gone = ~support
        for leaves, enters, _ in search(effects, -model.residual, support, torch.ones_like(gone)):
            gone[leaves], gone[enters] = False, True
        found = objective(model, gone)
        for leaves in gone.nonzero()[:, 0].tolist():
            for enters in (~gone).nonzero()[:, 0].tolist():
                other = gone.clone()
                other[leaves], other[enters] = False, True
                assert objective(model, other) >= found * (1.0 - 1e-5)
        best = torch.inf
        for chosen in combinations(range(12), 5):
            other = torch.zeros(12, dtype=torch.bool)
            other[list(chosen)] = True
            best = min(best, objective(model, other))
        assert found >= best * (1.0 - 1e-12)
        optimal += found <= best * (1.0 + 1e-9)
    assert optimal >= 5


def test_large_negative_weights_are_swapped_like_positive_ones(generator: torch.Generator) -> None:
    model = random_model(10, [40], generator)
    effects = model.rows * model.anchor
    mirrored = effects.clone()
    mirrored[:, ::2] *= -1.0
    signs = torch.ones(40, dtype=torch.float64)
    signs[::2] = -1.0
    support = model.keep(model.anchor.abs(), 10)
    free, start = torch.ones(40, dtype=torch.bool), -model.residual
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


def test_trials_keep_the_count_and_beat_magnitude_or_are_it(generator: torch.Generator) -> None:
    model = random_model(8, [20, 5, 15], generator)
    effects = model.rows * model.anchor
    support = randomised(model, effects, 11, generator)
    assert support.sum() == 11
    assert all(part.any() for part in torch.split(support, model.sizes))
    magnitude = model.keep(model.anchor.abs(), 11)
    assert objective(model, ~support) <= objective(model, ~magnitude)
