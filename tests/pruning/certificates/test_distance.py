from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from pruning.certificates import jets
from pruning.certificates.distance import certify
from pruning.compact import compact
from pruning.errors import PruningError
from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.intervals.significance import remove
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise, outputs, value_and_gradient

PointsIn = Callable[..., torch.Tensor]

POINTS = 100_000
BUDGET = 400


def assert_certified(
    dense: Network, pruned: Network, box: Interval, points_in: PointsIn, *, within: float
) -> dict[str, Any]:
    """The bounds hold at random points and are at most ``within`` times what is seen there."""
    certificate = certify(dense, pruned, box, budget=BUDGET)
    x = points_in(box, POINTS)
    (value, gradient), (other, other_gradient) = value_and_gradient(dense, x), value_and_gradient(pruned, x)
    gap, gaps = (other - value).abs().max(), (other_gradient - gradient).abs().amax(dim=0)
    assert gap <= certificate["value"] <= within * gap
    assert (gaps <= torch.tensor(certificate["delta"], dtype=torch.float64)).all()
    assert gaps.max() <= certificate["largest_delta"] <= within * gaps.max()
    assert certificate["seen"]["value"] <= certificate["value"]
    assert json.loads(json.dumps(certificate, allow_nan=False)) == certificate
    return certificate


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
def test_the_bounds_hold_for_removed_nodes(
    activation: ActivationName, interval: Interval, points_in: PointsIn, generator: torch.Generator
) -> None:
    network = initialise((3, 8, 6, 1), activation, generator=generator)
    keep = [torch.ones(3, dtype=torch.bool), *(torch.rand(n, generator=generator) > 0.3 for n in (8, 6))]
    smaller, bound = remove(network, enclose(network, interval), keep)
    assert smaller.parameters < network.parameters
    certificate = assert_certified(network, smaller, interval, points_in, within=2.0)
    assert certificate["value"] < bound


def test_the_bounds_hold_for_removed_weights(
    interval: Interval, points_in: PointsIn, generator: torch.Generator
) -> None:
    network = initialise((3, 8, 6, 1), "silu", generator=generator)
    for share in (0.05, 0.3):
        weights = tuple(w * (torch.rand(w.shape, generator=generator) > share) for w in network.weights)
        assert_certified(network, replace(network, weights=weights), interval, points_in, within=2.0)


@pytest.mark.parametrize("sparsity", [0.1, 0.4])
def test_the_bounds_hold_for_chita(
    sparsity: float,
    trained: Network,
    dataset: Dataset,
    interval: Interval,
    points_in: PointsIn,
    generator: torch.Generator,
) -> None:
    pruned = prune(trained, dataset, PruningSpec(method="chita", sparsity=sparsity), generator=generator)
    assert pruned.report["bound"] is None
    assert_certified(trained, pruned.network, interval, points_in, within=10.0)
    assert_certified(trained, compact(pruned.network), interval, points_in, within=10.0)


def test_networks_of_another_depth_are_certified(
    interval: Interval, points_in: PointsIn, generator: torch.Generator
) -> None:
    dense = initialise((3, 6, 5, 1), "silu", generator=generator)
    other = initialise((3, 4, 1), "tanh", generator=generator)
    certificate = assert_certified(dense, other, interval, points_in, within=2.0)
    assert certificate["method"] == "difference of two enclosures"


def test_a_small_difference_has_a_small_bound(interval: Interval, generator: torch.Generator) -> None:
    """The enclosures go with the difference: a thousandth of it has about a thousandth of the bound."""
    network = initialise((3, 6, 5, 1), "silu", generator=generator)
    shifts = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in network.weights]
    bounds = []
    for size in (1e-3, 1e-6):
        moved = tuple(w + size * shift for w, shift in zip(network.weights, shifts, strict=True))
        certificate = certify(network, replace(network, weights=moved), interval, budget=3)
        bounds.append((certificate["value"], certificate["largest_delta"]))
    for large, small in zip(*bounds, strict=True):
        assert small == pytest.approx(1e-3 * large, rel=0.05)


def test_a_network_is_not_far_from_itself(interval: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 6, 5, 1), "silu", generator=generator)
    certificate = certify(network, network, interval, budget=10)
    assert max(certificate["value"], certificate["largest_delta"]) < 1e-12


def test_of_a_kink_only_the_value_is_certified(
    interval: Interval, points_in: PointsIn, generator: torch.Generator
) -> None:
    network = initialise((3, 8, 6, 2), "relu", generator=generator)
    weights = tuple(w * (torch.rand(w.shape, generator=generator) > 0.1) for w in network.weights)
    pruned = replace(network, weights=weights)
    certificate = certify(network, pruned, interval, budget=BUDGET)
    x = points_in(interval, POINTS)
    gap = (outputs(network, x) - outputs(pruned, x)).abs().max()
    assert gap <= certificate["value"] <= 2.0 * gap
    assert certificate["delta"] is None
    assert certificate["largest_delta"] is None


def test_a_larger_budget_proves_no_less(interval: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 8, 6, 1), "silu", generator=generator)
    weights = tuple(w * (torch.rand(w.shape, generator=generator) > 0.1) for w in network.weights)
    values = [certify(network, replace(network, weights=weights), interval, budget=b)["value"] for b in (2, 20, 200)]
    assert values == sorted(values, reverse=True)


def test_what_overflows_is_not_claimed(interval: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 4, 4, 1), "silu", generator=generator)
    first, *rest = network.weights
    certificate = certify(
        network, replace(network, weights=(1e300 * first, *(1e10 * w for w in rest))), interval, budget=10
    )
    assert certificate["value"] is None
    assert certificate["delta"] is None


def test_wider_networks_get_fewer_sub_boxes_then_values_only_then_nothing(
    interval: Interval, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = initialise((3, 8, 6, 1), "silu", generator=generator)
    pruned = replace(network, weights=(0.9 * network.weights[0], *network.weights[1:]))
    whole = certify(network, pruned, interval, budget=BUDGET)
    each = 9 * (8 * 106 + 6 * 101 + 100)
    certificates = []
    for work in (20 * each, each, each // 9 - 1):
        monkeypatch.setattr(jets, "WORK", work)
        certificates.append(certify(network, pruned, interval, budget=BUDGET))
    few, plain, nothing = certificates
    assert few["sub_boxes"] <= 20 < whole["sub_boxes"]
    assert whole["value"] <= few["value"]
    assert whole["largest_delta"] <= few["largest_delta"]
    assert plain["delta"] is None
    assert plain["seen"]["value"] <= plain["value"]
    assert nothing["value"] is None
    assert nothing["sub_boxes"] == 0


@pytest.mark.parametrize("widths", [(7, 128, 128, 128, 128, 128, 128, 1), (7, 256, 256, 256, 256, 1)])
def test_wide_networks_are_counted_by_their_matrices(widths: tuple[int, ...]) -> None:
    """A sub-box costs its matrices, not its widest layer: between the roots of two charts and a few hundred fit."""
    assert 4 <= jets.affordable(widths, 49) <= 200


def test_what_cannot_be_compared_is_refused(interval: Interval, generator: torch.Generator) -> None:
    network = initialise((3, 4, 2), "silu", generator=generator)
    first, last = network.weights
    single = tuple(tuple(numbers.float() for numbers in parts) for parts in (network.weights, network.biases))
    lower, upper = interval.lower, interval.upper
    cases = [
        (initialise((2, 4, 2), "silu", generator=generator), interval, "widths: .* 3 inputs, got 3 and 2"),
        (initialise((3, 4, 1), "silu", generator=generator), interval, "widths: .* 2 outputs, got 2 and 1"),
        (network, Interval(lower[:2], upper[:2]), "widths: .* 2 inputs, got 3 and 3"),
        (replace(network, weights=single[0], biases=single[1]), interval, "pruned: .* float64 .* torch.float32"),
        (replace(network, weights=(torch.nan * first, last)), interval, "pruned: a weight or bias is not finite"),
        (network, Interval(lower, upper.float()), r"box: .* float64 .* \(torch.float32\)"),
        (network, Interval(lower, torch.inf * upper), "box: bounds must be finite"),
        (network, Interval(upper + 1.0, upper), "box: lower must not be above upper"),
    ]
    for pruned, box, message in cases:
        with pytest.raises(PruningError, match=message):
            certify(network, pruned, box)
