from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.greeks import SIGNIFICANCE, delta_significance, gamma_significance
from pruning.intervals.interval import Interval
from pruning.intervals.significance import loosen, means, remove, significance
from pruning.intervals.split import split
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise, value_gradient_hessian

PointsIn = Callable[..., torch.Tensor]

SCALES = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
DIRECTIONS = torch.diag(SCALES)
# The enclosures hold in exact arithmetic; the networks are evaluated in float64.
ROUNDING = 1e-12


@pytest.fixture
def box() -> Interval:
    return Interval(
        torch.tensor([-1.0, 0.0, -0.3], dtype=torch.float64), torch.tensor([0.5, 1.0, 0.3], dtype=torch.float64)
    )


@pytest.fixture
def x(box: Interval, points_in: PointsIn) -> torch.Tensor:
    return points_in(box, 5000)


def changes(network: Network, pruned: Network, x: torch.Tensor) -> tuple[float, float]:
    """Largest sum over inputs of the change of delta, and over all entries of that of gamma, in scaled units."""
    _, gradient, hessian = value_gradient_hessian(network, x)
    _, gradient_left, hessian_left = value_gradient_hessian(pruned, x)
    delta = ((gradient_left - gradient) * SCALES).abs().sum(dim=1).max()
    gamma = ((hessian_left - hessian) * SCALES[:, None] * SCALES).abs().sum(dim=(1, 2)).max()
    return float(delta), float(gamma)


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
def test_freezing_one_node_changes_delta_by_at_most_half_its_significance(
    activation: ActivationName, box: Interval, x: torch.Tensor, generator: torch.Generator
) -> None:
    network = initialise((3, 6, 5, 4, 1), activation, generator=generator)
    enclosure = enclose(network, box)
    scores = delta_significance(network, enclosure, DIRECTIONS)
    for layer, width in enumerate(network.widths[:-1]):
        for node in range(width):
            keep = [torch.ones(each, dtype=torch.bool) for each in network.widths[:-1]]
            keep[layer][node] = False
            pruned, _ = remove(network, enclosure, keep)
            assert 0.0 < changes(network, pruned, x)[0] <= 0.5 * float(scores[layer][node]) + ROUNDING


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("method", ["interval", "affine"])
@pytest.mark.parametrize("splits", [1, 6])
@pytest.mark.parametrize("fold", ["middle", "mean"])
def test_random_removals_change_delta_and_gamma_by_at_most_half_the_sum(
    activation: ActivationName,
    method: EnclosureMethod,
    splits: int,
    fold: str,
    box: Interval,
    x: torch.Tensor,
    generator: torch.Generator,
) -> None:
    for _ in range(3):
        network = initialise((3, 6, 5, 4, 1), activation, generator=generator)
        boxes = box if splits == 1 else split(network, box, splits, method=method)
        enclosure = enclose(network, boxes, method=method)
        hulls = [node.hull() for node in enclosure.nodes]
        values = [hull.middle for hull in hulls]
        if fold == "mean":
            values = [v.clamp(h.lower, h.upper) for v, h in zip(means(network, x), hulls, strict=True)]
        keep = [torch.rand(width, generator=generator) < 0.7 for width in network.widths[:-1]]
        for layer in keep:
            layer[0] = True
        pruned, _ = remove(network, enclosure, keep, values)
        constants = [value.where(~kept, torch.nan) for value, kept in zip(values, keep, strict=True)]
        loosened = loosen(network, enclosure, keep, values)
        for change, significance_of in zip(
            changes(network, pruned, x), (delta_significance, gamma_significance), strict=True
        ):
            scores = significance_of(network, loosened, DIRECTIONS, constants)
            bound = 0.5 * sum(float(score[~kept].sum()) for score, kept in zip(scores, keep, strict=True))
            assert change <= bound + ROUNDING


def test_a_linear_network_loses_the_delta_of_a_removed_input_and_has_no_gamma(generator: torch.Generator) -> None:
    weight = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    network = Network(weights=(weight,), biases=(torch.zeros(1, dtype=torch.float64),), activation="silu")
    enclosure = enclose(network, Interval(torch.zeros(3).double(), torch.ones(3).double()))
    (delta,) = delta_significance(network, enclosure, DIRECTIONS)
    torch.testing.assert_close(0.5 * delta, SCALES * weight[0].abs())
    (gamma,) = gamma_significance(network, enclosure, DIRECTIONS)
    assert gamma.max() == 0.0


def test_several_outputs_add_up(box: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 6, 5, 2), "silu", generator=generator)
    for target in SIGNIFICANCE.values():
        together = target(network, enclose(network, box), DIRECTIONS)
        single = [
            Network(
                weights=(*network.weights[:-1], network.weights[-1][i : i + 1]),
                biases=(*network.biases[:-1], network.biases[-1][i : i + 1]),
                activation="silu",
            )
            for i in range(2)
        ]
        apart = [target(one, enclose(one, box), DIRECTIONS) for one in single]
        for both, first, second in zip(together, *apart, strict=True):
            torch.testing.assert_close(both, first + second)


def test_the_value_is_what_it_was(box: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 6, 5, 1), "silu", generator=generator)
    enclosure = enclose(network, box)
    for scores, expected in zip(
        SIGNIFICANCE["value"](network, enclosure, DIRECTIONS), significance(enclosure), strict=True
    ):
        assert torch.equal(scores, expected)


@pytest.mark.parametrize("method", ["interval", "affine"])
def test_a_node_whose_tangent_cancelled_counts_once_another_is_frozen(method: EnclosureMethod) -> None:
    """y = g + f with g = h_1 - h_2 = -f is 0 and so are the tangents of g and f, until h_1 is frozen and g after it."""
    network = Network(
        weights=tuple(
            torch.tensor(weight, dtype=torch.float64)
            for weight in ([[1.0], [1.0]], [[1.0, -1.0], [-1.0, 1.0]], [[1.0, 1.0]])
        ),
        biases=tuple(torch.zeros(width, dtype=torch.float64) for width in (2, 2, 1)),
        activation="identity",
    )
    enclosure = enclose(network, Interval(torch.zeros(1).double(), torch.ones(1).double()), method=method)
    keep = [torch.tensor([True]), torch.tensor([False, True]), torch.tensor([False, True])]
    values = [node.middle for node in enclosure.nodes]
    constants = [value.where(~kept, torch.nan) for value, kept in zip(values, keep, strict=True)]
    loosened = loosen(network, enclosure, keep, values)
    scores = delta_significance(network, loosened, torch.ones(1, 1).double(), constants)
    bound = 0.5 * sum(float(score[~kept].sum()) for score, kept in zip(scores, keep, strict=True))
    pruned, _ = remove(network, enclosure, keep)
    _, gradient, _ = value_gradient_hessian(pruned, torch.zeros(1, 1).double())
    assert float(gradient) == 1.0
    assert bound >= 1.0
