"""Local volatility: Dupire's formula by autograd, and the surface's own prices, which the simulation must give back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import QuantLib
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.processes.local_volatility import GRADING, SHORTEST, Smile, local_variance, smiles
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import Scenario, scenario, times
from pricing.specs.problem import PricingProblem
from pricing.specs.process import LocalVolatility
from pricing.types import Array
from tests.pricing.cases import SURFACE, conditional_call, normals, unit_call

SIGMA, RHO, ETA, GAMMA = 0.2, -0.6, 1.0, 0.4
STRIKES = (0.85, 1.0, 1.15)
NAMES = ("spot", "maturity", "volatility", "skew", "curvature")
ROW = (1.0, 1.0, SIGMA, RHO, ETA)


def make(*names: str, **others: Any) -> PricingProblem:
    """The surface above, quoted at a spot of 1."""
    surface = {"volatilities": (SIGMA,), "skews": (RHO,), "curvatures": (ETA,), "powers": (GAMMA,)}
    return unit_call(replace(SURFACE, reference_spots=(1.0,), **{**surface, **others}), *names)


def paths(problem: PricingProblem, x: Tensor, z: Tensor) -> Tensor:
    at = scenario(problem, x)
    return simulate(problem.process, at, z, times(problem, at)).levels()[..., 0]


def total_variance(k: Tensor, t: Tensor) -> Tensor:
    theta = SIGMA**2 * t
    slow = SIGMA**2 * torch.sqrt(t**2 + SHORTEST**2)
    phi = ETA / (slow**GAMMA * (1.0 + slow) ** (1.0 - GAMMA))
    return 0.5 * theta * (1.0 + RHO * phi * k + torch.sqrt((phi * k + RHO) ** 2 + 1.0 - RHO**2))


def surface_prices(maturity: float) -> Array:
    k, t = torch.log(torch.tensor(STRIKES, dtype=torch.float64)), torch.tensor(maturity, dtype=torch.float64)
    deviations = total_variance(k, t).sqrt().tolist()
    pairs = zip(STRIKES, deviations, strict=True)
    return np.array([QuantLib.blackFormula(QuantLib.Option.Call, strike, 1.0, s) for strike, s in pairs])


def at_one(problem: PricingProblem) -> Scenario:
    return scenario(problem, torch.ones(1, 1, dtype=torch.float64))


def test_local_variance_is_dupires_of_the_surface() -> None:
    k = torch.linspace(-1.0, 1.0, 11, dtype=torch.float64).requires_grad_()
    t = torch.full_like(k, 0.3, requires_grad=True)
    w = total_variance(k, t)
    by_k, by_t = torch.autograd.grad(w.sum(), (k, t), create_graph=True)
    (twice,) = torch.autograd.grad(by_k.sum(), k)
    g = (1.0 - 0.5 * k * by_k / w) ** 2 - 0.25 * by_k**2 * (1.0 / w + 0.25) + 0.5 * twice
    problem = make()
    assert isinstance(problem.process, LocalVolatility)
    surface = smiles(problem.process, at_one(problem), t[:1, None, None, None])
    variance = local_variance(Smile(*(field[0] for field in surface)), k[None, :, None])
    torch.testing.assert_close(variance[0, :, 0], by_t / g, rtol=1e-12, atol=0.0)


def errors(problem: PricingProblem, *, seeds: int = 4) -> tuple[Array, Array]:
    """Of call prices against the surface's own, in units of vega times 1 %, and their standard errors."""
    runs = []
    for seed in range(seeds):
        z = normals(sum(blocks(problem.process, 1)), paths=1 << 14, seed=seed)
        end = paths(problem, torch.ones(1, 1, dtype=torch.float64), z)[0]
        runs.append([torch.relu(end - strike).mean().item() for strike in STRIKES])
    vega = 0.01 * 0.35
    gaps = (np.array(runs) - surface_prices(1.0)) / vega
    return gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / math.sqrt(seeds)


def test_prices_of_the_surface_come_back() -> None:
    error, noise = errors(make(steps=32))
    assert (np.abs(error) < 4.0 * noise + 0.05).all()


def test_weak_order_is_one_for_euler_and_two_for_milstein() -> None:
    def ratio(scheme: str) -> float:
        coarse, fine = (errors(make(scheme=scheme, steps=n))[0] for n in (4, 8))
        return float(np.linalg.norm(coarse) / np.linalg.norm(fine))

    assert 1.6 < ratio("euler") < 2.5
    assert 2.8 < ratio("milstein") < 5.5


def test_strong_order_is_a_half_for_euler_and_one_for_milstein() -> None:
    generator = torch.Generator().manual_seed(0)
    finest = 256
    # Every step of a coarse graded grid is a run of whole steps of the finest.
    lengths = torch.diff((torch.arange(finest + 1, dtype=torch.float64) / finest) ** GRADING)
    increments = torch.randn((1, 2000, finest), dtype=torch.float64, generator=generator) * lengths.sqrt()

    def end(scheme: str, steps: int) -> Tensor:
        z = increments.reshape(1, 2000, steps, -1).sum(dim=-1) / lengths.reshape(steps, -1).sum(dim=-1).sqrt()
        ordered = torch.cat([z[..., -1:], z[..., :-1]], dim=-1)  # the last step's first
        # With a power of 0 the coefficients are smooth from time 0 on, as the theory asks.
        problem = make(scheme=scheme, steps=steps, powers=(0.0,))
        return paths(problem, torch.ones(1, 1, dtype=torch.float64), ordered)

    exact = end("milstein", finest)

    def order(scheme: str) -> float:
        coarse, fine = ((end(scheme, steps) - exact).square().mean().sqrt().item() for steps in (4, 32))
        return math.log(coarse / fine) / math.log(8.0)

    assert 0.35 < order("euler") < 0.7
    assert 0.8 < order("milstein") < 1.2


def test_flat_surface_is_black_scholes_with_one_open_normal() -> None:
    problem = make(curvatures=(0.0,), steps=8)
    z = normals(8, paths=32)
    logs = torch.log(paths(problem, torch.ones(1, 1, dtype=torch.float64), z))
    root = torch.diff((torch.arange(9, dtype=torch.float64) / 8.0) ** GRADING).sqrt()
    driver = (torch.cat([z[..., 1:], z[..., :1]], dim=-1) * root).sum(dim=2)
    torch.testing.assert_close(logs, SIGMA * driver - 0.5 * SIGMA**2, rtol=1e-10, atol=1e-12)


def test_last_step_may_be_integrated_by_blacks_formula() -> None:
    problem, one = make(steps=16), torch.ones(1, 1, dtype=torch.float64)
    runs = [conditional_call(problem, one, normals(16, paths=1 << 12, seed=seed)).mean().item() for seed in range(8)]
    # The last step has no Milstein term: 2e-4 of value at 16 steps.
    assert abs(np.mean(runs) - surface_prices(1.0)[1]) < 4.0 * np.std(runs, ddof=1) / math.sqrt(8) + 2e-4


def test_forward_is_a_martingale_at_any_step() -> None:
    problem = make(steps=2, rate=0.02)
    means = [
        paths(problem, torch.ones(1, 1, dtype=torch.float64), normals(2, paths=1 << 12, seed=seed)).mean().item()
        for seed in range(8)
    ]
    assert abs(np.mean(means) - math.exp(0.02)) < 4.0 * np.std(means, ddof=1) / math.sqrt(8)


@pytest.mark.parametrize("index", range(len(NAMES)))
def test_zero_parameters_give_finite_paths_and_derivatives(index: int) -> None:
    x = torch.tensor([ROW], dtype=torch.float64)
    x[0, index] = 0.0
    x.requires_grad_()
    ends = paths(make(*NAMES[1:], steps=4), x, normals(4, paths=64))
    (gradient,) = torch.autograd.grad(ends.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.sum(), x)
    assert all(bool(torch.isfinite(label).all()) for label in (ends, gradient, curvature))


def test_derivatives_agree_with_differences_on_the_same_normals() -> None:
    problem, z = make(*NAMES[1:], steps=4), normals(4, paths=8)
    x = torch.tensor([(1.1, 0.8, 0.25, -0.5, 0.9)], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: paths(problem, x, z).mean(dim=1), (x,))
    assert torch.autograd.gradgradcheck(lambda x: paths(problem, x, z).mean(dim=1), (x,))


def test_volatility_scale_runs_the_clock() -> None:
    z = normals(8, paths=16)
    scaled = make("volatility_scale", steps=8)
    longer = make("maturity", steps=8)
    x = torch.tensor([[1.1, 1.5]], dtype=torch.float64)
    y = torch.tensor([[1.1, 2.25]], dtype=torch.float64)
    torch.testing.assert_close(paths(scaled, x, z), paths(longer, y, z), rtol=1e-12, atol=0.0)
