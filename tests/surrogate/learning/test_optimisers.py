from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from surrogate.learning import adam, lbfgs, levenberg_marquardt
from surrogate.learning.losses import Objective
from surrogate.learning.optimisers import minimise
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt

FIRST, SECOND = Adam(epochs=3, batch=64), LBFGS(iterations=20)
MARQUARDT = LevenbergMarquardt(starts=1, short=3, finalists=1, long=1)


@pytest.fixture
def objective(objective_of: Callable[..., Objective]) -> Objective:
    return objective_of(4, order=1)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_each_goes_on_from_where_the_one_before_stopped(objective: Objective) -> None:
    def silent(_: float) -> None: ...

    generator = seeded()
    halfway, before = adam.minimise(objective, objective.start(), FIRST, generator=generator, progress=silent)
    end, after = lbfgs.minimise(objective, halfway, SECOND, generator=generator, progress=silent)
    theta, losses = minimise(objective, objective.start(), (FIRST, SECOND), generator=seeded(), progress=silent)
    assert torch.equal(theta, end)
    assert losses == before + after


def test_second_order_is_handed_on_as_it_is(objective: Objective) -> None:
    told = list[float]()
    theta, losses = minimise(objective, objective.start(), (MARQUARDT,), generator=seeded(), progress=told.append)
    own = levenberg_marquardt.minimise(
        objective, objective.start(), MARQUARDT, generator=seeded(), progress=lambda _: None
    )
    assert torch.equal(theta, own[0])
    assert losses == own[1]


def test_progress_is_of_all_together_and_never_falls(objective: Objective) -> None:
    told = list[float]()
    minimise(objective, objective.start(), (FIRST, SECOND), generator=seeded(), progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert 0.5 in told
