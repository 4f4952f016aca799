"""The time grid: the dates are on it at every maturity, and it moves with them."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace

from pricing.processes.grid import GridProcess, blocks, lengths, refined, steps
from pricing.specs.process import Heston
from tests.pricing.cases import PAIR, STOCHASTIC, SURFACE, WRITTEN, alike, doubles

GRIDS: list[GridProcess] = [replace(STOCHASTIC, steps=10), replace(SURFACE, steps=10), replace(WRITTEN, steps=10)]
UNTIL = doubles([[[0.3, 0.7, 2.0]], [[0.15, 0.35, 1.0]]])


@pytest.mark.parametrize("process", GRIDS)
@pytest.mark.parametrize("grading", [1.0, 1.5])
def test_every_date_is_on_the_grid_to_the_last_bit(process: GridProcess, grading: float) -> None:
    grid, every = refined(process, UNTIL, grading=grading), steps(process, 3)
    assert torch.equal(grid[..., every - 1 :: every], UNTIL)
    assert bool((lengths(grid) > 0.0).all())
    torch.testing.assert_close(lengths(grid).cumsum(dim=-1), grid, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("dates", [1, 2, 3, 10, 11, 40])
def test_between_dates_are_as_many_steps_as_reach_the_processs_own(dates: int) -> None:
    every = steps(GRIDS[0], dates)
    assert every * dates >= 10 > (every - 1) * dates


@pytest.mark.parametrize("grading", [1.0, 1.5])
def test_the_grid_scales_with_the_maturity(grading: float) -> None:
    grid = refined(GRIDS[0], UNTIL, grading=grading)
    torch.testing.assert_close(grid[0], 2.0 * grid[1], rtol=1e-14, atol=0.0)


def test_a_graded_grid_begins_by_its_power_and_is_even_after_the_first_date() -> None:
    grid, every = refined(GRIDS[0], UNTIL[:1], grading=1.5)[0, 0], steps(GRIDS[0], 3)
    shares = torch.arange(1, every + 1, dtype=torch.float64) / every
    torch.testing.assert_close(grid[:every], 0.3 * shares**1.5, rtol=1e-14, atol=0.0)
    later = lengths(grid[None])[0, every : 2 * every]
    torch.testing.assert_close(later, later[:1].expand(every), rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("dates", [1, 3])
@pytest.mark.parametrize("process", GRIDS)
def test_blocks_hold_a_normal_a_step_and_asset_and_hestons_one_a_date_besides(process: GridProcess, dates: int) -> None:
    two = alike(process, PAIR)
    own = 2 * dates if isinstance(process, Heston) else 0
    assert sum(blocks(two, dates)) == 2 * dates * steps(two, dates) + own
