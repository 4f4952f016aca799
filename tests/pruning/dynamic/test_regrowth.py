from __future__ import annotations

import pytest
import torch

from pruning.dynamic.regrowth import cosine, erdos_renyi, exchange_at_random, exchange_by_gradient

SHAPES = [(128, 7), (128, 128), (64, 128), (10, 64)]


@pytest.mark.parametrize("shapes", [SHAPES, [(8, 2), (6, 8), (1, 6)], [(300, 784), (100, 300), (10, 100)]])
@pytest.mark.parametrize("dense_output", [False, True])
def test_the_total_is_exact_and_no_layer_is_empty(shapes: list[tuple[int, int]], dense_output: bool) -> None:
    room = [out * fan_in for out, fan_in in shapes]
    for count in (len(room), 5, 12, 40, sum(room) // 3, sum(room) - 1, sum(room)):
        counts = erdos_renyi(shapes, count, dense_output=dense_output)
        assert sum(counts) == count
        assert all(1 <= share <= most for share, most in zip(counts, room, strict=True))


def test_densities_are_those_of_a_random_graph() -> None:
    counts = erdos_renyi(SHAPES, 2500)
    scale = [share / (out + fan_in) for share, (out, fan_in) in zip(counts, SHAPES, strict=True)]
    for density, (out, fan_in) in zip(scale, SHAPES, strict=True):
        assert density == pytest.approx(2500 / sum(sum(shape) for shape in SHAPES), abs=1.0 / (out + fan_in))


def test_layers_that_cannot_hold_their_share_are_dense_and_the_others_share_the_rest() -> None:
    counts = erdos_renyi(SHAPES, 8000)
    assert (counts[0], counts[3]) == (128 * 7, 64 * 10)
    rest = 8000 - 128 * 7 - 64 * 10
    assert counts[1] == pytest.approx(rest * 256 / 448, abs=1.0)
    assert counts[2] == pytest.approx(rest * 192 / 448, abs=1.0)


def test_the_output_layer_is_dense_if_that_leaves_half_for_the_others() -> None:
    assert erdos_renyi(SHAPES, 1280, dense_output=True)[-1] == 640
    assert erdos_renyi(SHAPES, 1280)[-1] < 640
    assert erdos_renyi(SHAPES, 1200, dense_output=True) == erdos_renyi(SHAPES, 1200)


def test_the_cosine_goes_from_the_fraction_to_nothing() -> None:
    assert cosine(0.3, 0, 750.0) == 0.3
    assert cosine(0.3, 375, 750.0) == pytest.approx(0.15)
    assert cosine(0.3, 750, 750.0) == 0.0


@pytest.fixture
def layer(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kept = torch.rand(12, 9, generator=generator) < 0.4
    weight = torch.randn(12, 9, generator=generator, dtype=torch.float64) * kept
    return weight, kept, torch.randn(12, 9, generator=generator, dtype=torch.float64)


def test_rigl_drops_the_smallest_weights_and_grows_the_largest_gradients(
    layer: tuple[torch.Tensor, torch.Tensor, torch.Tensor], generator: torch.Generator
) -> None:
    weight, kept, gradient = layer
    new, now = exchange_by_gradient(weight, kept, gradient=gradient, fraction=0.3, generator=generator)
    places = [tuple(place) for place in kept.nonzero().tolist()]
    moving = int(0.3 * len(places))
    stays = set(sorted(places, key=lambda p: abs(float(weight[p])))[moving:])
    others = [(i, j) for i in range(12) for j in range(9) if (i, j) not in stays]
    grown = set(sorted(others, key=lambda p: -abs(float(gradient[p])))[:moving])
    assert {tuple(place) for place in now.nonzero().tolist()} == stays | grown
    for place in grown:
        # New at 0; what was only just dropped comes back as it was.
        assert new[place] == (weight[place] if kept[place] else 0.0)
    assert all(new[place] == weight[place] for place in stays)
    assert now.sum() == kept.sum()


def test_set_drops_what_is_closest_to_zero_on_either_side(
    layer: tuple[torch.Tensor, torch.Tensor, torch.Tensor], generator: torch.Generator
) -> None:
    weight, kept, gradient = layer
    new, now = exchange_at_random(weight, kept, gradient=gradient, fraction=0.3, generator=generator)
    assert now.sum() == kept.sum()
    assert torch.equal(new != 0, now)
    positive, negative = weight[weight > 0].sort().values, weight[weight < 0].sort(descending=True).values
    stays = torch.cat([positive[int(0.3 * len(positive)) :], negative[int(0.3 * len(negative)) :]])
    assert set(stays.tolist()) == set(weight[new == weight][weight[new == weight] != 0].tolist())


def test_set_grows_anywhere_with_equal_chance(generator: torch.Generator) -> None:
    kept = torch.zeros(1, 10, dtype=torch.bool)
    kept[0, :4] = True
    weight = torch.tensor([[1.0, 2.0, 3.0, 4.0] + [0.0] * 6], dtype=torch.float64)
    counts, values = torch.zeros(10), []
    for _ in range(2000):
        new, now = exchange_at_random(weight, kept, gradient=weight, fraction=0.5, generator=generator)
        counts += now[0]
        values.append(new[now & (new != weight)])
    # 2 of 8 places: 2000 / 4 with a standard deviation of sqrt(2000 3 / 16) = 19.
    assert (counts[2:4] == 2000).all()
    assert (counts[[0, 1, 4, 5, 6, 7, 8, 9]] - 500.0).abs().max() < 4 * 19.4
    assert float(torch.cat(values).std()) == pytest.approx(0.1, rel=0.05)
