from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.interval import Interval
from pruning.intervals.significance import means, remove, significance
from pruning.intervals.split import split
from surrogate.dataset import Dataset
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise, outputs

PointsIn = Callable[..., torch.Tensor]


def random_keep(network: Network, share: float, generator: torch.Generator) -> list[torch.Tensor]:
    keep = [torch.rand(width, generator=generator) < share for width in network.widths[:-1]]
    for layer in keep:
        layer[0] = True
    return keep


def test_a_linear_network_has_significance_width_times_weight(generator: torch.Generator) -> None:
    weight = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    network = Network(weights=(weight,), biases=(torch.zeros(1, dtype=torch.float64),), activation="silu")
    width = torch.tensor([1.0, 2.0, 0.0, 4.0], dtype=torch.float64)
    (scores,) = significance(enclose(network, Interval(torch.zeros_like(width), width)))
    torch.testing.assert_close(scores, width * weight[0].abs())


def test_the_error_of_one_input_reaches_the_bound(generator: torch.Generator) -> None:
    weight = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
    network = Network(weights=(weight,), biases=(torch.zeros(1, dtype=torch.float64),), activation="silu")
    box = Interval(torch.tensor([0.0, -1.0], dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64))
    pruned, bound = remove(network, enclose(network, box), [torch.tensor([True, False])])
    corner = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    assert float((outputs(pruned, corner) - outputs(network, corner)).abs()) == pytest.approx(bound, rel=1e-8)


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh", "relu"])
@pytest.mark.parametrize("method", ["interval", "affine"])
@pytest.mark.parametrize("splits", [1, 6])
@pytest.mark.parametrize("fold", ["middle", "mean"])
def test_the_certificate_holds_for_random_removals(
    activation: ActivationName,
    method: EnclosureMethod,
    splits: int,
    fold: str,
    points_in: PointsIn,
    generator: torch.Generator,
) -> None:
    box = Interval(
        torch.tensor([-1.0, 0.0, -0.3], dtype=torch.float64), torch.tensor([0.5, 1.0, 0.3], dtype=torch.float64)
    )
    x = points_in(box, 20_000)
    for _ in range(4):
        network = initialise((3, 7, 6, 5, 1), activation, generator=generator)
        constants = means(network, x) if fold == "mean" else None
        boxes = box if splits == 1 else split(network, box, splits, method=method)
        enclosure = enclose(network, boxes, method=method)
        pruned, bound = remove(network, enclosure, random_keep(network, 0.6, generator), constants)
        error = float((outputs(pruned, x) - outputs(network, x)).abs().max())
        assert 0.0 < error <= bound


def test_removing_the_least_significant_nodes_of_a_trained_network_costs_less_than_removing_others(
    trained: Network, dataset: Dataset, interval: Interval, generator: torch.Generator
) -> None:
    enclosure = enclose(trained, interval)
    scores = significance(enclosure)[1]
    order = scores.argsort()
    everything = [torch.ones(width, dtype=torch.bool) for width in trained.widths[:-1]]

    def error(removed: torch.Tensor) -> float:
        keep = [layer.clone() for layer in everything]
        keep[1][removed] = False
        pruned, _ = remove(trained, enclosure, keep)
        return float((outputs(pruned, dataset.x) - outputs(trained, dataset.x)).square().mean())

    assert error(order[:4]) < error(order[-4:])


def test_nothing_removed_costs_nothing(trained: Network, interval: Interval) -> None:
    keep = [torch.ones(width, dtype=torch.bool) for width in trained.widths[:-1]]
    pruned, bound = remove(trained, enclose(trained, interval), keep)
    assert pruned is trained
    assert bound == 0.0


@pytest.mark.parametrize("fold", ["middle", "mean"])
def test_splits_and_affine_forms_sharpen_the_bound(fold: str, points_in: PointsIn, generator: torch.Generator) -> None:
    """The same nodes and constants, so the same pruned network; its bound is at most that over the whole box."""
    box = Interval(torch.full((3,), -0.5, dtype=torch.float64), torch.full((3,), 1.0, dtype=torch.float64))
    network = initialise((3, 7, 6, 5, 1), "silu", generator=generator)
    keep, x = random_keep(network, 0.6, generator), points_in(box, 20_000)
    natural = enclose(network, box)
    constants = [node.middle for node in enclose(network, box, method="affine").nodes]
    if fold == "mean":
        constants = list(means(network, x))
    methods: tuple[EnclosureMethod, ...] = ("interval", "affine")
    _, bound = remove(network, natural, keep, constants)
    for method in methods:
        for count in (2, 16):
            boxes = split(network, box, count, method=method)
            _, sharper = remove(network, enclose(network, boxes, method=method), keep, constants)
            assert sharper <= bound
    assert sharper < 0.7 * bound


def relu_network(*weights: list[list[float]], biases: tuple[list[float], ...]) -> Network:
    return Network(
        weights=tuple(torch.tensor(weight, dtype=torch.float64) for weight in weights),
        biases=tuple(torch.tensor(bias, dtype=torch.float64) for bias in biases),
        activation="relu",
    )


def test_a_constant_that_no_value_of_a_sub_box_reaches_counts_all_the_way_to_it() -> None:
    """The output rises by 0.1 a unit left of 0.52 and by 1 right of it: the left half alone knows nothing of that."""
    network = relu_network([[1.0]], [[1.0], [1.0]], [[0.1, 0.9]], biases=([0.0], [0.0, -0.52], [0.0]))
    box = Interval(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    enclosure = enclose(network, split(network, box, 2))
    keep = [torch.tensor([True]), torch.tensor([False]), torch.tensor([True, True])]
    constants = [torch.ones(width, dtype=torch.float64) for width in network.widths[:-1]]
    pruned, bound = remove(network, enclosure, keep, constants)
    origin = torch.zeros(1, 1, dtype=torch.float64)
    error = float((outputs(pruned, origin) - outputs(network, origin)).abs())
    assert error == pytest.approx(0.1 + 0.9 * 0.48)
    assert error <= bound


def test_a_node_that_is_frozen_no_longer_cancels_another() -> None:
    """Both nodes are the input, their difference is 0, and an affine form knows; with one of them frozen it moves."""
    network = relu_network([[1.0], [1.0]], [[1.0, -1.0]], [[1.0]], biases=([0.0, 0.0], [-0.1], [0.0]))
    box = Interval(torch.ones(1, dtype=torch.float64), torch.full((1,), 2.0, dtype=torch.float64))
    enclosure = enclose(network, box, method="affine")
    assert significance(enclosure)[1].max() < 1e-12
    pruned, bound = remove(
        network, enclosure, [torch.tensor([True]), torch.tensor([False, True]), torch.tensor([True])]
    )
    error = float((outputs(pruned, box.lower[None]) - outputs(network, box.lower[None])).abs())
    assert error == pytest.approx(0.4)
    assert error <= bound
