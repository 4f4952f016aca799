"""Barriers as positive integrals: what touches and what does not, at the barrier and far from it."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from pricing.references.reflection import End, out, touched


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gaussian_end(start: Tensor, strike: Tensor, *, down: bool, call: bool) -> End:
    """Without drift, in deviations from today's level: the barrier is the start's distance away."""
    away = 1.0 if down else -1.0
    struck = start + away * strike
    return End(
        beyond=call == down,
        strike=struck,
        start=start,
        mean=start,
        tilt=torch.zeros_like(start),
        paid=lambda w: (w - struck[:, None]).abs(),
    )


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("call", [True, False])
def test_what_touches_and_what_does_not_is_the_whole(down: bool, call: bool) -> None:
    start, strike = numbers(1e-8, 0.3, 2.0, 40.0), numbers(0.5, -0.2, 1.0, -3.0)
    end, x = gaussian_end(start, strike, down=down, call=call), (-strike if call else strike).numpy()
    whole = x * norm.cdf(x) + norm.pdf(x)
    assert (out(end) + touched(end)).numpy() == pytest.approx(whole, rel=1e-13)


def test_what_starts_by_the_barrier_is_worth_its_distance() -> None:
    """The value vanishes in proportion to the distance, to rounding of itself."""
    near, nearer = (
        float(out(gaussian_end(numbers(start), numbers(0.5), down=True, call=True))) for start in (1e-9, 1e-12)
    )
    assert near / nearer == pytest.approx(1e3, rel=1e-8)


def test_values_have_two_derivatives() -> None:
    start, strike = numbers(0.4, 1.5).requires_grad_(), numbers(0.2, -0.3).requires_grad_()

    def values(start: Tensor, strike: Tensor) -> Tensor:
        end = gaussian_end(start, strike, down=True, call=True)
        return torch.stack([out(end), touched(end)])

    assert torch.autograd.gradcheck(values, (start, strike))
    assert torch.autograd.gradgradcheck(values, (start, strike))


@pytest.mark.parametrize("gap", [1e-6, 1e-9])
def test_a_strike_by_the_barrier_keeps_the_digits_of_the_curvature(gap: float) -> None:
    """A payoff of k - w on [0, k] that a touch ends is worth a n(a) k^3 / 3."""
    start = numbers(0.7).requires_grad_()
    end = End(
        beyond=False,
        strike=numbers(gap),
        start=start,
        mean=start,
        tilt=torch.zeros_like(start),
        paid=lambda w: gap - w,
    )
    value = out(end)
    (slope,) = torch.autograd.grad(value.sum(), start, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), start)
    a, scale = 0.7, norm.pdf(0.7) * gap**3 / 3.0
    exact = [a * scale, (1.0 - a * a) * scale, (a**3 - 3.0 * a) * scale]
    assert [float(part.detach()) for part in (value, slope, bend)] == pytest.approx(exact, rel=10.0 * gap + 1e-11)
