"""What every process owes whoever simulates it: a law in its normals, a forward, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.processes.simulate import blocks, simulate
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import scenario, times
from pricing.specs.payoff import Asian
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    GAUSSIAN,
    PAIR,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    WRITTEN,
    alike,
    doubles,
    feature,
    normals,
    problem_of,
)

CARRY = {"rate": 0.05, "dividend_yields": (0.02, 0.01)}
PROCESSES: dict[str, Process] = {
    "bachelier": replace(alike(GAUSSIAN, PAIR), convention="carry", **CARRY),
    "black_scholes": replace(alike(PLAIN, PAIR), **CARRY),
    "cash": replace(alike(PLAIN, PAIR), dividends=(Dividend(time=0.3, amount=5.0),), **CARRY),
    "heston": replace(alike(STOCHASTIC, PAIR), steps=4, **CARRY),
    "local_volatility": replace(alike(SURFACE, PAIR), steps=4, **CARRY),
    "ito_diffusion": replace(
        alike(WRITTEN, PAIR), steps=4, rate=0.05, drifts=("(r - 0.02) * S", "(r - 0.01) * S"), scheme="milstein"
    ),
}
DATES = (0.5, 1.0)


def on_two_dates(name: str) -> PricingProblem:
    """An average of two assets over two dates, as a function of spots and maturity."""
    average = Asian(weights=(0.5, 0.5), strike=100.0, dates=DATES)
    return problem_of(PROCESSES[name], average, feature("maturity", 0.5, 2.0))


def paths(problem: PricingProblem, x: Tensor, z: Tensor) -> Paths:
    at = scenario(problem, x)
    return simulate(problem.process, at, z, times(problem, at))


HERE = doubles([[100.0, 90.0, 1.0]])


@pytest.mark.parametrize("name", PROCESSES)
def test_the_first_block_moves_the_path_in_an_affine_way_given_the_rest(name: str) -> None:
    """S or ln S has no second difference along it; the later blocks, where there are any, are not affine."""
    problem = on_two_dates(name)
    sizes = blocks(problem.process, len(DATES))
    z = normals(sum(sizes), paths=8)

    def bend(columns: slice) -> float:
        direction = torch.zeros_like(z)
        direction[..., columns] = 1.0
        last = [paths(problem, HERE, z + step * direction) for step in (-1.0, 0.0, 1.0)]
        down, still, up = (p.noise if p.law == "additive" else p.noise.log() for p in last)
        return float((up - 2.0 * still + down).abs().max() / (up - down).abs().max())

    assert bend(slice(0, sizes[0])) < 1e-12
    assert all(bend(slice(sizes[0], sum(sizes))) > 1e-4 for _ in sizes[1:])


@pytest.mark.parametrize("name", PROCESSES)
def test_the_mean_is_the_forward_at_every_date(name: str) -> None:
    problem = on_two_dates(name)
    draws = normals(sum(blocks(problem.process, len(DATES))), paths=1 << 13)
    simulated = paths(problem, HERE, draws)
    for date, until in enumerate(DATES):
        spots = HERE[0, :2]
        if name == "cash":
            spots = spots - doubles([5.0 * math.exp(-0.03 * 0.3), 0.0])
        forward = spots * torch.exp(doubles([0.03, 0.04]) * until)
        levels = simulated.levels(date)[0]
        error = levels.std(dim=0) / math.sqrt(len(levels))
        assert bool(((levels.mean(dim=0) - forward).abs() < 4.0 * error).all())
        assert float(simulated.discount[0, 0, date]) == pytest.approx(math.exp(-0.05 * until), rel=1e-14)


@pytest.mark.parametrize("name", PROCESSES)
def test_paths_are_differentiable_in_spots_and_maturity(name: str) -> None:
    problem = on_two_dates(name)
    z = normals(sum(blocks(problem.process, len(DATES))), paths=4)

    def levels(x: Tensor) -> Tensor:
        simulated = paths(problem, x, z)
        return torch.stack([simulated.levels(date) for date in range(2)])

    assert torch.autograd.gradcheck(levels, (HERE.clone().requires_grad_(),), rtol=1e-5)


@pytest.mark.parametrize("name", PROCESSES)
def test_normals_of_every_samples_own_are_taken_row_by_row(name: str) -> None:
    problem = on_two_dates(name)
    z = normals(sum(blocks(problem.process, len(DATES))), paths=16).reshape(2, 8, -1)
    x = doubles([[100.0, 90.0, 1.0], [80.0, 120.0, 1.5]])
    together = paths(problem, x, z)
    for row in range(2):
        alone = paths(problem, x[row : row + 1], z[row : row + 1])
        torch.testing.assert_close(together.levels()[row], alone.levels()[0], rtol=1e-13, atol=0.0)
