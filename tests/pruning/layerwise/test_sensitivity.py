from __future__ import annotations

import pytest
import torch

from pruning.layerwise.sensitivity import needed, sensitivity


def layer(out: int = 6, width: int = 9, samples: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(out, width, generator=generator, dtype=torch.float64)
    return weight, torch.randn(samples, width, generator=generator, dtype=torch.float64)


def shares(weight: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
    """g of one sample of one sign, entry by entry. Shape: out in, in -> out in."""
    total = torch.zeros_like(weight)
    for i, row in enumerate(weight):
        for sign in (1.0, -1.0):
            terms = (sign * row).clamp(min=0.0) * nodes
            if terms.sum() > 0:
                total[i] += terms / terms.sum()
    return total


def test_it_is_the_largest_share_over_samples_and_signs() -> None:
    weight, nodes = layer()
    parts = [*nodes.clamp(min=0.0), *(-nodes).clamp(min=0.0)]
    want = torch.stack([shares(weight, signed) for signed in parts]).amax(dim=0)
    torch.testing.assert_close(sensitivity(weight, nodes), want, rtol=1e-12, atol=0.0)


def test_one_sample_gives_its_shares() -> None:
    weight, nodes = layer()
    nodes = nodes[:1].abs()
    scores = sensitivity(weight, nodes)
    torch.testing.assert_close(scores, shares(weight, nodes[0]))
    for sign in (weight > 0, weight < 0):
        torch.testing.assert_close((scores * sign).sum(dim=1), sign.any(dim=1).double())


def test_rows_of_one_sign_add_up_to_between_one_and_their_number_of_weights() -> None:
    weight, nodes = layer()
    scores = sensitivity(weight, nodes)
    assert ((scores >= 0) & (scores <= 1)).all()
    for sign in (weight > 0, weight < 0):
        total, count = (scores * sign).sum(dim=1), sign.sum(dim=1)
        assert (total[count > 0] >= 1.0 - 1e-12).all()
        assert (total <= torch.minimum(count, torch.tensor(2 * len(nodes)))).all()


def test_nodes_permute_and_scales_cancel() -> None:
    weight, nodes = layer()
    scores = sensitivity(weight, nodes)
    order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(sensitivity(weight[:, order], nodes[:, order]), scores[:, order])
    for scale in (1e-9, 3.0, 1e9):
        torch.testing.assert_close(sensitivity(scale * weight, nodes), scores)
        torch.testing.assert_close(sensitivity(weight, scale * nodes), scores)


def test_chunks_of_samples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, nodes = layer()
    scores = sensitivity(weight, nodes)
    monkeypatch.setattr("pruning.layerwise.sensitivity.ENTRIES", 3 * weight.numel())
    assert torch.equal(sensitivity(weight, nodes), scores)


def test_what_is_zero_has_none() -> None:
    weight, nodes = layer()
    weight[2], weight[0, 1], nodes[:, 4] = 0.0, 0.0, 0.0
    scores = sensitivity(weight, nodes)
    assert not scores[2].any()
    assert scores[0, 1] == 0.0
    assert not scores[:, 4].any()
    assert not sensitivity(weight, torch.zeros_like(nodes)).any()


def test_draws_needed_grow_with_the_sum_and_the_certainty() -> None:
    total = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    ratio = needed(total) / total
    assert torch.equal(ratio, ratio[:1].expand(3))
    assert (needed(total, 1e-3) < needed(total, 1e-6)).all()
