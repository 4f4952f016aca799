from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from pruning.certificates.chart import chart
from pruning.intervals.interval import Interval


def narrow(rows: int, inputs: int, generator: torch.Generator) -> tuple[Interval, torch.Tensor, torch.Tensor]:
    lower = torch.rand(inputs, generator=generator, dtype=torch.float64)
    upper = lower + 0.1 + torch.rand(inputs, generator=generator, dtype=torch.float64)
    weight = torch.randn(rows, inputs, generator=generator, dtype=torch.float64)
    return Interval(lower, upper), weight, torch.randn(rows, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("rows", "inputs", "turned"), [(3, 7, True), (3, 7, False), (9, 4, True), (1, 1, True)])
def test_a_form_holds_the_affine_map_to_rounding(
    rows: int, inputs: int, turned: bool, generator: torch.Generator
) -> None:
    box, weight, bias = narrow(rows, inputs, generator)
    coordinates = chart(box, weight, bias, turned=turned)
    form = coordinates.form(weight, bias)
    assert form.residual.max() < 1e-11
    x = box.lower + box.width * torch.rand(20, inputs, generator=generator, dtype=torch.float64)
    for point in x:
        u = [
            (Fraction(a) - Fraction(m)) / Fraction(h)
            for a, m, h in zip(point.tolist(), coordinates.middle.tolist(), coordinates.half.tolist(), strict=True)
        ]
        t = [sum(Fraction(p) * v for p, v in zip(row, u, strict=True)) for row in coordinates.directions.tolist()]
        for i in range(rows):
            exact = sum(Fraction(w) * Fraction(a) for w, a in zip(weight[i].tolist(), point.tolist(), strict=True))
            held = sum(Fraction(c) * v for c, v in zip(form.slope[i].tolist(), t, strict=True))
            missed = exact + Fraction(float(bias[i])) - held - Fraction(float(form.offset[i]))
            assert abs(missed) <= Fraction(float(form.residual[i]))


def test_what_the_chart_does_not_span_is_in_the_residual(generator: torch.Generator) -> None:
    box, weight, bias = narrow(2, 5, generator)
    other = torch.randn(1, 5, generator=generator, dtype=torch.float64)
    coordinates = chart(box, weight, bias)
    form = coordinates.form(other, bias[:1])
    x = box.lower + box.width * torch.rand(10_000, 5, generator=generator, dtype=torch.float64)
    missed = (x @ other.T + bias[:1] - coordinates.coordinates(x) @ form.slope.T - form.offset).abs()
    assert missed.max() <= form.residual.max()
    assert form.residual.max() > 0.01


def test_the_sum_of_two_forms_is_exact(generator: torch.Generator) -> None:
    box, weight, bias = narrow(3, 4, generator)
    coordinates = chart(box, weight, bias)
    small = 1e-3 * torch.randn(3, 4, generator=generator, dtype=torch.float64)
    one, other = coordinates.form(weight, bias), coordinates.form(small, bias)
    total = one + other
    for a, b, c in zip(one.slope.flatten(), other.slope.flatten(), total.slope.flatten(), strict=True):
        assert Fraction(float(a)) + Fraction(float(b)) == Fraction(float(c))


def test_only_sub_boxes_without_points_are_left_out(generator: torch.Generator) -> None:
    box, weight, bias = narrow(3, 6, generator)
    coordinates = chart(box, weight, bias)
    whole = coordinates.whole
    cuts = torch.rand(2, 4000, 3, generator=generator, dtype=torch.float64)
    middle, radius = torch.lerp(whole.lower, whole.upper, cuts[0]), 0.05 * whole.upper * cuts[1]
    meets = coordinates.meets(Interval(middle - radius, middle + radius))
    x = box.lower + box.width * torch.rand(4000, 6, generator=generator, dtype=torch.float64)
    t = coordinates.coordinates(x)
    inside = ((t[:, None] >= middle - radius) & (t[:, None] <= middle + radius)).all(dim=2).any(dim=0)
    assert meets[inside].all()
    assert (~meets).float().mean() > 0.1
