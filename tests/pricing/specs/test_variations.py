"""Processes changed as a whole: every volatility, every grid."""

from __future__ import annotations

import pytest
import torch

from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.process import Process
from pricing.specs.variations import with_steps, with_volatilities
from tests.pricing.cases import CALL, GAUSSIAN, PLAIN, STOCHASTIC, SURFACE, WRITTEN, doubles, normals, problem_of

PROCESSES: dict[str, Process] = {
    "bachelier": GAUSSIAN,
    "black_scholes": PLAIN,
    "heston": STOCHASTIC,
    "local_volatility": SURFACE,
    "ito_diffusion": WRITTEN,
}


def deviation(process: Process) -> float:
    problem = problem_of(process, CALL)
    at = scenario(problem, doubles([[100.0]]))
    z = normals(sum(blocks(process, 1)), paths=1 << 12)
    return float(torch.log(simulate(process, at, z, times(problem, at)).levels().clamp(min=1.0)).std())


@pytest.mark.parametrize("name", PROCESSES)
def test_half_the_volatilities_are_half_the_deviation(name: str) -> None:
    process = PROCESSES[name]
    assert deviation(with_volatilities(process, 0.5)) == pytest.approx(0.5 * deviation(process), rel=0.05)


@pytest.mark.parametrize("name", PROCESSES)
def test_grids_are_as_many_times_finer_up_to_the_most_there_are(name: str) -> None:
    process = PROCESSES[name]
    grid = process.facts.grid
    assert with_steps(process, 3).facts.grid == (None if grid is None else 3 * grid)
    assert with_steps(process, MAXIMUM_STEPS).facts.grid == (None if grid is None else MAXIMUM_STEPS)
