"""What an estimator gives the engine: values of turned normals, in blocks that count them all."""

from __future__ import annotations

import pytest
import torch

from pricing.estimators.contribute import contribution
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import scenario
from pricing.specs.estimator import Bridge, Estimator, LikelihoodRatio, Pathwise, Smoothed, Survival
from pricing.specs.payoff import Payoff
from tests.pricing.cases import ASIAN, CALL, CARRYING, CONTINUOUS, DATED, NOTE, STOCHASTIC, doubles, normals, problem_of

CASES: list[tuple[Payoff, Estimator]] = [
    (ASIAN, Pathwise()),
    (ASIAN, Smoothed()),
    (ASIAN, LikelihoodRatio()),
    (DATED, Survival()),
    (NOTE, Survival()),
    (CONTINUOUS, Bridge(steps=3)),
]


def turn(sizes: tuple[int, ...]) -> Rotation:
    """A random turn of every block."""
    generator = torch.Generator().manual_seed(1)
    matrices = (torch.randn(size, size, dtype=torch.float64, generator=generator) for size in sizes)
    return Rotation(matrices=tuple(torch.linalg.qr(matrix).Q for matrix in matrices))


@pytest.mark.parametrize(("payoff", "estimator"), CASES)
def test_a_value_turns_the_normals_that_it_is_given(payoff: Payoff, estimator: Estimator) -> None:
    """c(x, Q, z) = c(x, 1, Q z), and the pilot's normals are turned already."""
    problem = problem_of(CARRYING, payoff)
    settled, at = contribution(problem, estimator, seed=0), scenario(problem, doubles([[101.0], [90.5]]))
    z, rotation = normals(settled.dimension, paths=32), turn(settled.blocks)
    turned = settled.value(at, rotation(z), identity(settled.blocks))
    torch.testing.assert_close(settled.value(at, z, rotation), turned, rtol=1e-13, atol=1e-13)
    assert settled.pilot(at, rotation(z)).shape == turned.shape == (2, 32)


@pytest.mark.parametrize("estimator", [Pathwise(), Smoothed()])
def test_the_blocks_are_all_normals_of_a_path(estimator: Estimator) -> None:
    """One more than there are is not taken apart, one less is not enough."""
    problem = problem_of(STOCHASTIC, CALL)
    settled, at = contribution(problem, estimator, seed=0), scenario(problem, doubles([[100.0]]))
    assert settled.dimension == sum(settled.blocks) == 1 + (STOCHASTIC.facts.grid or 0)
    settled.value(at, normals(settled.dimension, paths=4), identity(settled.blocks))
    for wrong in (settled.dimension - 1, settled.dimension + 1):
        with pytest.raises(RuntimeError):
            settled.value(at, normals(wrong, paths=4), identity(settled.blocks))
