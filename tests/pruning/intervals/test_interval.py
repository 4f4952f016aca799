from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
import torch

from pruning.intervals.interval import STATIONARY, Interval, activation_range, add, affine, multiply, square
from surrogate.functions.activations import ACTIVATIONS, ActivationName


def random_intervals(count: int, generator: torch.Generator) -> Interval:
    ends = 4.0 * torch.randn(2, count, generator=generator, dtype=torch.float64)
    return Interval(ends.amin(dim=0), ends.amax(dim=0))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_activation_ranges_hold_every_value_and_hardly_more(
    activation: ActivationName, order: int, generator: torch.Generator
) -> None:
    z = random_intervals(200, generator)
    grid = torch.lerp(z.lower, z.upper, torch.linspace(0.0, 1.0, 4001, dtype=torch.float64)[:, None])
    values = ACTIVATIONS[activation](grid)[order]
    enclosed = activation_range(activation, order, z)
    assert (enclosed.lower <= values).all()
    assert (values <= enclosed.upper).all()
    assert (enclosed.width - (values.amax(dim=0) - values.amin(dim=0))).max() < 1e-4


def test_the_slope_of_silu_is_held_where_float64_rounds_it_most() -> None:
    """At 36.7 the computed s (1 - s) is a rounding error times a; exact values by 40-digit decimals."""
    points = torch.linspace(30.0, 38.0, 2000, dtype=torch.float64)
    enclosed = activation_range("silu", 1, Interval(points, points))
    with localcontext() as context:
        context.prec = 40
        for i, a in enumerate(map(Decimal, points.tolist())):
            s = 1 / (1 + (-a).exp())
            exact = s + a * s * (1 - s)
            assert Decimal(float(enclosed.lower[i])) <= exact <= Decimal(float(enclosed.upper[i]))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_stationary_points_are_stationary(activation: ActivationName, order: int) -> None:
    step = 1e-4
    for place, value in STATIONARY[activation][order]:
        around = torch.tensor([place - step, place, place + step], dtype=torch.float64)
        before, at, after = ACTIVATIONS[activation](around)[order].tolist()
        assert at == pytest.approx(value, abs=1e-15)
        assert abs(after - before) < 1e-3 * abs(before + after - 2.0 * at)


def test_affine_and_product_hold_what_they_enclose(generator: torch.Generator) -> None:
    x, y = random_intervals(6, generator), random_intervals(6, generator)
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    uniforms = torch.rand(2, 5000, 6, generator=generator, dtype=torch.float64).round(decimals=1)
    points, others = x.lower + x.width * uniforms[0], y.lower + y.width * uniforms[1]
    for enclosed, values in (
        (affine(weight, x, bias), points @ weight.T + bias),
        (multiply(x, y), points * others),
    ):
        assert (enclosed.lower <= values).all()
        assert (values <= enclosed.upper).all()


def test_a_point_stays_a_point_to_rounding(generator: torch.Generator) -> None:
    point = torch.randn(6, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    enclosed = affine(weight, Interval(point, point))
    for i, row in enumerate(weight.tolist()):
        exact = sum(Fraction(w) * Fraction(x) for w, x in zip(row, point.tolist(), strict=True))
        assert float(enclosed.lower[i]) <= exact <= float(enclosed.upper[i])
    assert enclosed.width.max() < 1e-13


def test_middle_and_radius_cover_the_interval(generator: torch.Generator) -> None:
    x = random_intervals(200, generator)
    for lower, middle, upper, radius in zip(
        *(bound.tolist() for bound in (x.lower, x.middle, x.upper, x.radius)), strict=True
    ):
        assert lower <= middle <= upper
        assert Fraction(middle) - Fraction(radius) <= Fraction(lower)
        assert Fraction(middle) + Fraction(radius) >= Fraction(upper)


def test_sums_and_squares_hold_what_they_enclose(generator: torch.Generator) -> None:
    x, y = random_intervals(6, generator), random_intervals(6, generator)
    uniforms = torch.rand(2, 5000, 6, generator=generator, dtype=torch.float64).round(decimals=1)
    points, others = x.lower + x.width * uniforms[0], y.lower + y.width * uniforms[1]
    for enclosed, values in (
        (add(x, y), points + others),
        (square(x), points * points),
    ):
        assert (enclosed.lower <= values).all()
        assert (values <= enclosed.upper).all()
    assert (square(x).lower >= 0.0).all()
    assert torch.equal(x.with_value(torch.full((6,), torch.nan, dtype=torch.float64)).lower, x.lower)
    assert float(Interval(x.lower[:, None], x.upper[:, None]).hull().upper) == float(x.upper.max())
