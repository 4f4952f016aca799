from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.intervals import adjoint
from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.greeks import gamma_significance
from pruning.intervals.interval import Interval
from pruning.intervals.significance import significance
from surrogate.functions.activations import ACTIVATIONS, ActivationName
from surrogate.functions.network import Network, initialise

PointsIn = Callable[..., torch.Tensor]

# Both methods round; what one of them rounds more may be this much of the other.
ROUNDING = 1e-12


@pytest.fixture
def box() -> Interval:
    half = torch.tensor([0.3, 0.2, 0.5], dtype=torch.float64)
    return Interval(-half, 1.5 * half)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_affine_forms_are_never_wider_than_intervals(
    activation: ActivationName, box: Interval, generator: torch.Generator
) -> None:
    network = initialise((3, 12, 11, 10, 9, 1), activation, generator=generator)
    natural, affine = enclose(network, box), enclose(network, box, method="affine")
    for name in ("nodes", "preactivations", "adjoints", "preadjoints"):
        for wide, narrow in zip(getattr(natural, name), getattr(affine, name), strict=True):
            slack = ROUNDING * wide.magnitude
            assert (wide.lower - slack <= narrow.lower).all()
            assert (narrow.upper <= wide.upper + slack).all()
    assert affine.nodes[-1].width.mean() < 0.5 * natural.nodes[-1].width.mean()
    for large, small in zip(significance(natural), significance(affine), strict=True):
        assert (small <= large * (1.0 + ROUNDING)).all()


def test_a_network_without_bends_is_enclosed_exactly(box: Interval, generator: torch.Generator) -> None:
    """Every form is linear then, and its bounds are those of the product of all matrices."""
    network = initialise((3, 8, 8, 1), "identity", generator=generator)
    enclosed = enclose(network, box, method="affine").preactivations[1]
    weight = network.weights[1] @ network.weights[0]
    center = box.middle @ weight.T + network.weights[1] @ network.biases[0] + network.biases[1]
    radius = (0.5 * box.width) @ weight.abs().T
    torch.testing.assert_close(enclosed.lower, center - radius, rtol=0.0, atol=ROUNDING)
    torch.testing.assert_close(enclosed.upper, center + radius, rtol=0.0, atol=ROUNDING)


def test_the_excess_falls_with_the_square_of_the_box(points_in: PointsIn, generator: torch.Generator) -> None:
    """The first order is exact, that of interval arithmetic is not."""
    network = initialise((3, 10, 10, 10, 1), "tanh", generator=generator)
    point = torch.randn(3, generator=generator, dtype=torch.float64)

    def excess(half: float) -> float:
        box = Interval(point - half, point + half)
        enclosed = enclose(network, box, method="affine").preactivations[-1]
        x = points_in(box, 20_000, corners=1.0)
        values = _preactivation(network, x)
        return float((enclosed.width - (values.amax(dim=0) - values.amin(dim=0))).mean())

    assert excess(0.01) / excess(0.02) == pytest.approx(0.25, rel=0.1)


def _preactivation(network: Network, x: torch.Tensor) -> torch.Tensor:
    for weight, bias in zip(network.weights[:-2], network.biases[:-2], strict=True):
        x = ACTIVATIONS[network.activation](x @ weight.T + bias)[0]
    return x @ network.weights[-2].T + network.biases[-2]


@pytest.mark.parametrize("method", ["interval", "affine"])
def test_a_batch_too_large_for_the_memory_is_enclosed_in_batches(
    method: EnclosureMethod, box: Interval, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = initialise((3, 6, 5, 1), "silu", generator=generator)
    boxes = Interval(box.lower.expand(7, -1), box.upper - torch.rand(7, 1, generator=generator, dtype=torch.float64))
    boxes = Interval(torch.minimum(boxes.lower, boxes.upper), boxes.upper)
    directions = torch.eye(3, dtype=torch.float64)

    def everything() -> tuple[torch.Tensor, ...]:
        enclosure = enclose(network, boxes, method=method)
        scores = gamma_significance(network, enclosure, directions)
        return (*(each.upper for each in enclosure.adjoints), *enclosure.slack, *scores)

    assert len(adjoint.in_batches(network, boxes, 1)) == 1
    whole = everything()
    monkeypatch.setattr(adjoint, "MAXIMUM_ENTRIES", 200)
    assert (
        max(len(batch.lower) for batch in adjoint.in_batches(network, boxes, 1))
        == adjoint.boxes_at_once(network, 1)
        < 7
    )
    for one, other in zip(whole, everything(), strict=True):
        torch.testing.assert_close(one, other, rtol=ROUNDING, atol=ROUNDING)
