"""The killed step: its law against simulation and quadrature, its derivatives against differences, its limits."""

import math

import pytest
import torch
from torch import Tensor

from pricing.draws import stream
from pricing.estimators.killed import Displaced, beyond, kept_clear, log_ratio, untouched

UNIFORMS = torch.tensor([1e-9, 1e-4, 0.1, 0.5, 0.9, 1.0 - 1e-9], dtype=torch.float64)
# Distances before the step and drifts of the barrier, deviations.
STARTS = torch.tensor([1e-5, 1e-2, 0.5, 2.0, 10.0], dtype=torch.float64)
DRIFTS = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)


def test_chance_is_that_of_simulated_paths() -> None:
    a, w, steps, paths = 0.8, -0.5, 64, 1 << 16
    z = torch.from_numpy(stream("killed", seed=1).standard_normal((paths, steps))) / math.sqrt(steps)
    path = torch.cat([torch.zeros(paths, 1, dtype=torch.float64), z.cumsum(dim=1)], dim=1)
    gaps = path - torch.linspace(-a, w, steps + 1, dtype=torch.float64)
    # The bridge of every short step, which is exact whatever their number.
    stays = -torch.expm1(-2.0 * steps * (gaps[:, 1:].clamp(min=0.0) * gaps[:, :-1].clamp(min=0.0)))
    alive = stays.prod(dim=1)
    for level in (w, 0.3):
        sample = alive * (path[:, -1] > level)
        gap = beyond(*(torch.tensor(x, dtype=torch.float64) for x in (level, a, w))) - sample.mean()
        assert gap.abs() < 4.0 * sample.std() / math.sqrt(paths)


def grid() -> tuple[Tensor, Tensor, Tensor]:
    """Every uniform with every start and every drift."""
    u, a, drift = torch.meshgrid(UNIFORMS, STARTS, DRIFTS, indexing="ij")
    return u, a, drift - a


def test_draws_invert_the_law() -> None:
    u, a, w = grid()
    z, chance = kept_clear(u, a, w)
    assert (z > w).all()
    torch.testing.assert_close(chance, beyond(w, a, w))
    # To rounding of the chance itself, which near the barrier is the difference of two that nearly agree.
    torch.testing.assert_close(beyond(z, a, w) / chance, 1.0 - u, rtol=1e-9, atol=1e-9)


def test_derivatives_are_those_of_the_root() -> None:
    a, drift = (grid.flatten() for grid in torch.meshgrid(STARTS[2:4], DRIFTS, indexing="ij"))
    u = torch.full_like(a, 0.3)

    def draw(a: Tensor, drift: Tensor) -> tuple[Tensor, Tensor]:
        return kept_clear(u, a, drift - a)

    inputs = (a.requires_grad_(), drift.requires_grad_())
    assert torch.autograd.gradcheck(draw, inputs)
    assert torch.autograd.gradgradcheck(draw, inputs)


def test_density_is_the_slope_of_the_chance() -> None:
    z, a, w = (torch.tensor(x, dtype=torch.float64) for x in (0.4, 0.7, -0.2))
    z.requires_grad_()
    (slope,) = torch.autograd.grad(beyond(z, a, w), z)
    torch.testing.assert_close(-slope, untouched(z, a, w))


def test_a_step_from_the_barrier_has_no_chance_and_one_from_afar_is_free() -> None:
    u = UNIFORMS[1:5]
    z, chance = kept_clear(u, torch.zeros_like(u), torch.zeros_like(u))
    assert torch.isfinite(z).all()
    assert not chance.any()
    z, chance = kept_clear(u, torch.full_like(u, 1e6), torch.full_like(u, -1e6))
    torch.testing.assert_close(z, torch.special.ndtri(u))
    torch.testing.assert_close(chance, torch.ones_like(u))


@pytest.mark.parametrize("skew", [-0.4, 0.0, 1e-9, 0.4])
def test_displaced_step_has_its_moments_and_its_inverse(skew: float) -> None:
    step = Displaced(scale=torch.tensor(0.05, dtype=torch.float64), skew=torch.tensor(skew, dtype=torch.float64))
    z = torch.linspace(-9.0, 9.0, 4001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z.square())
    weight = weight / weight.sum()
    x = step.move(z)
    torch.testing.assert_close((weight * x).sum(), torch.zeros((), dtype=torch.float64), rtol=0.0, atol=1e-14)
    torch.testing.assert_close((weight * x.square()).sum().sqrt(), step.scale)
    torch.testing.assert_close(step.normal(x), z)


def test_levels_that_no_normal_reaches_are_out_of_reach() -> None:
    step = Displaced(scale=torch.tensor(0.05, dtype=torch.float64), skew=torch.tensor(0.4, dtype=torch.float64))
    assert step.start(torch.tensor(-10.0, dtype=torch.float64)) < -40.0


def test_log_ratio_meets_its_series() -> None:
    x = torch.tensor([-0.9, -1.001e-3, -0.999e-3, 0.0, 0.999e-3, 1.001e-3, 5.0], dtype=torch.float64)
    expected = torch.where(x == 0.0, torch.ones_like(x), torch.log1p(x) / torch.where(x == 0.0, torch.ones_like(x), x))
    torch.testing.assert_close(log_ratio(x), expected, rtol=1e-12, atol=0.0)
