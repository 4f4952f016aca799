from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning.errors import PruningError
from pruning.removal.masks import apply, masks_of, select, top
from surrogate.functions.network import initialise


@given(count=st.integers(0, 40), seed=st.integers(0, 100))
def test_top_is_exact_among_ties(count: int, seed: int) -> None:
    scores = torch.randint(0, 3, (5, 8), generator=torch.Generator().manual_seed(seed)).double()
    mask = top(scores, count)
    assert mask.sum() == count
    if 0 < count < 40:
        assert scores[mask].min() >= scores[~mask].max()


@given(seed=st.integers(0, 100))
def test_selections_are_nested_exact_and_never_empty_a_layer(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = [
        torch.randint(0, 2, shape, generator=generator).double() + 5.0 * i for i, shape in enumerate([(3, 4), (6,)])
    ]
    alive = [torch.rand(score.shape, generator=generator) < 0.8 for score in scores]
    living = int(sum(group.sum() for group in alive))
    groups = sum(bool(group.any()) for group in alive)
    larger = select(scores, alive, living)
    for count in range(living, groups - 1, -1):
        chosen = select(scores, alive, count)
        assert sum(int(group.sum()) for group in chosen) == count
        for group, lives, outer in zip(chosen, alive, larger, strict=True):
            assert group.any() == lives.any()
            assert not (group & ~(lives & outer)).any()
        larger = chosen


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(PruningError, match="not finite"):
        select([torch.tensor([1.0, torch.nan])], [torch.ones(2, dtype=torch.bool)], 1)


def test_masks_are_read_off_the_weights_and_kept_weights_keep_their_bits(generator: torch.Generator) -> None:
    network = initialise((3, 4, 1), "silu", generator=generator)
    masks = tuple(torch.rand(w.shape, generator=generator) < 0.5 for w in network.weights)
    pruned = apply(network, masks)
    for mask, read, before, after in zip(masks, masks_of(pruned), network.weights, pruned.weights, strict=True):
        assert torch.equal(mask, read)
        assert torch.equal(before[mask], after[mask])
