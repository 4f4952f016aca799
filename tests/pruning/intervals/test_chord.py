from __future__ import annotations

import pytest
import torch

from pruning.intervals.chord import chord
from pruning.intervals.interval import Interval
from surrogate.functions.activations import ACTIVATIONS, ActivationName


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_chord_error_is_bounded_and_hardly_overestimated(
    activation: ActivationName, generator: torch.Generator
) -> None:
    ends = 3.0 * torch.randn(2, 200, generator=generator, dtype=torch.float64)
    a = Interval(ends.amin(dim=0), ends.amax(dim=0))
    line = chord(activation, a)
    grid = torch.lerp(a.lower, a.upper, torch.linspace(0.0, 1.0, 2001, dtype=torch.float64)[:, None])
    error = (ACTIVATIONS[activation](grid)[0] - line.alpha * grid - line.beta).abs().amax(dim=0)
    assert (error <= line.radius).all()
    # The mean value form is of second order only where phi' is Lipschitz, which that of ReLU is not.
    assert ((line.radius - error) / a.width).max() < (0.02 if activation == "relu" else 0.002)


def test_a_point_has_its_tangent(generator: torch.Generator) -> None:
    point = torch.randn(5, generator=generator, dtype=torch.float64)
    line = chord("silu", Interval(point, point))
    value, slope, _, _ = ACTIVATIONS["silu"](point)
    torch.testing.assert_close(line.alpha, slope)
    torch.testing.assert_close(line.alpha * point + line.beta, value)
    assert line.radius.max() < 1e-13


def test_a_batch_of_intervals_has_the_chords_of_its_parts(generator: torch.Generator) -> None:
    ends = 3.0 * torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    a = Interval(ends.amin(dim=0), ends.amax(dim=0))
    lines = chord("tanh", a)
    for i in range(4):
        line = chord("tanh", Interval(a.lower[i], a.upper[i]))
        torch.testing.assert_close(lines.alpha[i], line.alpha)
        torch.testing.assert_close(lines.radius[i], line.radius)
