from __future__ import annotations

import itertools
from typing import get_args

import pytest

from pruning.counting.schedules import schedule
from pruning.spec import ScheduleName

NAMES: tuple[ScheduleName, ...] = get_args(ScheduleName)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stages", [1, 2, 3, 7])
def test_schedules_rise_to_exactly_the_target(name: ScheduleName, stages: int) -> None:
    path = schedule(name, 0.2, 0.9, stages)
    assert len(path) == stages
    assert path[-1] == 0.9
    assert all(0.2 <= a <= b <= 0.9 + 1e-15 for a, b in itertools.pairwise(path))


def test_exponential_halves_the_steps() -> None:
    path = schedule("exponential", 0.0, 0.9, 5)
    steps = [b - a for a, b in itertools.pairwise(path)]
    assert steps[1:] == pytest.approx([step / 2.0 for step in steps[:-1]])


def test_geometric_divides_the_density_by_one_factor() -> None:
    densities = [1.0, *(1.0 - s for s in schedule("geometric", 0.0, 0.99, 4))]
    ratios = [b / a for a, b in itertools.pairwise(densities)]
    assert ratios == pytest.approx([0.01**0.25] * 4)


def test_polynomial_is_cubic() -> None:
    assert schedule("polynomial", 0.1, 0.9, 5)[2] == pytest.approx(0.9 + (0.1 - 0.9) * 0.5**3)
