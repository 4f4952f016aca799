"""Paths with one normal open: lines through the simulated paths."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.estimators.open_normal import Line, paths_along
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.process import Process
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    ASIAN,
    GAUSSIAN,
    PAIR,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    WRITTEN,
    alike,
    doubles,
    normals,
    problem_of,
)

UNTIL = doubles([[[0.5, 1.0]]])
PROCESSES: dict[str, Process] = {
    "bachelier": alike(GAUSSIAN, PAIR),
    "black_scholes": alike(PLAIN, PAIR),
    "cash": replace(alike(PLAIN, PAIR), dividends=(Dividend(time=0.3, amount=5.0),)),
    "heston": replace(alike(STOCHASTIC, PAIR), steps=4),
    "local_volatility": replace(alike(SURFACE, PAIR), steps=4),
    "ito_diffusion": replace(alike(WRITTEN, PAIR), steps=4),
}


def setting(process: Process) -> tuple[Scenario, Tensor, Tensor]:
    """Two samples, 16 paths, and a unit vector within the block that is affine."""
    sizes = blocks(process, 2)
    direction = torch.zeros(1, 1, sum(sizes), dtype=torch.float64)
    direction[..., : sizes[0]] = normals(sizes[0], paths=1)
    at = scenario(problem_of(process, replace(ASIAN, weights=(0.5, 0.5))), doubles([[100.0, 90.0], [80.0, 110.0]]))
    return at, normals(sum(sizes), paths=16), direction / direction.norm()


def at_component(line: Line, t: Tensor) -> Tensor:
    """Levels where the open normal is t. Shape: t 1 path -> batch path date asset."""
    t = t[..., None, None]
    return line.level + line.slope * t if line.law == "additive" else line.level * torch.exp(line.slope * t)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_simulated_path_is_on_its_line(name: str) -> None:
    process = PROCESSES[name]
    at, z, direction = setting(process)
    line = paths_along(process, at, z, UNTIL, direction=direction)
    paths = simulate(process, at, z, UNTIL)
    levels = torch.stack([paths.levels(date) for date in range(2)], dim=2)
    component = (z * direction).sum(dim=-1)
    torch.testing.assert_close(at_component(line, component), levels, rtol=1e-12, atol=1e-12)
    assert torch.equal(line.discount, paths.discount)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_line_does_not_hang_on_the_component_along_it(name: str) -> None:
    process = PROCESSES[name]
    at, z, direction = setting(process)
    line, moved = (paths_along(process, at, z + shift * direction, UNTIL, direction=direction) for shift in (0.0, 2.0))
    torch.testing.assert_close(moved.level, line.level, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(moved.slope, line.slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_one_slope_serves_all_paths_where_the_normals_move_them_alike(name: str) -> None:
    process = PROCESSES[name]
    at, z, direction = setting(process)
    slope = paths_along(process, at, z, UNTIL, direction=direction).slope
    assert slope.shape[1] == (1 if process.facts.shared_noise else 16)


def test_a_level_that_a_dividend_has_taken_does_not_move() -> None:
    process = replace(PLAIN, dividends=(Dividend(time=0.5, amount=1e3),))
    at = scenario(problem_of(process, ASIAN), doubles([[100.0]]))
    direction = torch.zeros(1, 1, 3, dtype=torch.float64)
    direction[..., 0] = 1.0
    line = paths_along(process, at, normals(3, paths=8), UNTIL, direction=direction)
    assert not line.level[:, :, 1].any()
    assert not line.slope[:, :, 1].any()
