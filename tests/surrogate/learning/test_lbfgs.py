from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from surrogate.learning.lbfgs import minimise
from surrogate.learning.losses import Objective
from surrogate.spec import LBFGS


@pytest.fixture
def objective(objective_of: Callable[..., Objective]) -> Objective:
    return objective_of(4, order=2)


def test_the_loss_falls_from_block_to_block(objective: Objective, generator: torch.Generator) -> None:
    seen: list[float] = []
    theta, losses = minimise(
        objective, objective.start(), LBFGS(iterations=60), generator=generator, progress=seen.append
    )
    assert losses == sorted(losses, reverse=True)
    assert float(objective.loss(theta)) < losses[0]
    assert seen[-1] == pytest.approx(1.0)


def test_single_precision_comes_close_and_returns_the_type_it_was_given(
    objective: Objective, generator: torch.Generator
) -> None:
    def run(single: bool) -> torch.Tensor:
        spec = LBFGS(iterations=10, single_precision=single)
        return minimise(objective, objective.start(), spec, generator=generator, progress=lambda _: None)[0]

    assert run(True).dtype == torch.float64
    torch.testing.assert_close(objective.loss(run(True)), objective.loss(run(False)), rtol=0.05, atol=0.0)
