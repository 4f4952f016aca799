from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace

from pricing.estimators.coarser import coarser, doubled, halved
from pricing.estimators.contribute import contribution
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import scenario
from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.estimator import Bridge, Conditional, Estimator, Pathwise
from pricing.specs.payoff import Payoff
from pricing.specs.process import Bachelier, Process
from pricing.specs.schedule import Piece
from tests.pricing.cases import (
    ASIAN,
    CALL,
    CONTINUOUS,
    ONE,
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

CARRIED = Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry", rate=0.1)
PIECED = replace(STOCHASTIC, rate_pieces=(Piece(start=0.3, value=0.05),))
TWO = replace(CALL, weights=(0.5, 0.5))
CASES: list[tuple[Process, Payoff, Estimator]] = [
    (STOCHASTIC, CALL, Conditional()),
    (alike(STOCHASTIC, PAIR), TWO, Pathwise()),
    (STOCHASTIC, ASIAN, Pathwise()),
    (STOCHASTIC, CONTINUOUS, Bridge()),
    (PIECED, CONTINUOUS, Bridge(steps=20)),
    (SURFACE, ASIAN, Pathwise()),
    (alike(SURFACE, PAIR), TWO, Conditional()),
    (WRITTEN, CALL, Pathwise()),
    (CARRIED, CONTINUOUS, Bridge(steps=4)),
]


@pytest.mark.parametrize(("process", "payoff", "estimator"), CASES, ids=range(len(CASES)))
def test_half_the_steps_on_the_same_paths_are_nearly_the_same(
    process: Process, payoff: Payoff, estimator: Estimator
) -> None:
    """Path by path: the correlation is near one, and the means differ by far less than their noise alone would."""
    problem, settled = doubled(problem_of(process, payoff), estimator)
    fine, coarse = contribution(problem, settled, seed=0), coarser(problem, settled, seed=0)
    assert coarse is not None
    assert coarse.dimension == fine.dimension
    at, z = scenario(problem, doubles([[100.0] * process.assets])), normals(fine.dimension, paths=1 << 10)
    rows = [part.value(at, z, identity(part.blocks))[0] for part in (fine, coarse)]
    assert float(torch.corrcoef(torch.stack(rows))[0, 1]) > 0.9
    means = torch.stack(rows).mean(dim=1)
    assert 0.0 < float((means[0] - means[1]).abs()) < 0.02 * float(means[0])


@pytest.mark.parametrize(("process", "payoff", "estimator"), CASES[:-1], ids=range(len(CASES) - 1))
def test_twice_and_half_are_what_it_was(process: Process, payoff: Payoff, estimator: Estimator) -> None:
    problem = problem_of(replace(process, steps=20), payoff)
    finer, settled = doubled(problem, estimator)
    assert finer.process.facts.grid == 40
    assert halved(finer, settled)[0].process.facts.grid == 20


def test_grids_go_as_far_as_they_go() -> None:
    most = problem_of(replace(STOCHASTIC, steps=MAXIMUM_STEPS), CALL)
    finer, settled = doubled(most, Conditional())
    assert finer.process.facts.grid == MAXIMUM_STEPS
    assert halved(finer, settled)[0].process.facts.grid == MAXIMUM_STEPS // 2


def test_what_has_no_bias_of_steps_has_no_coarser_grid() -> None:
    assert coarser(*doubled(problem_of(PLAIN, CALL), Conditional()), seed=0) is None
    assert coarser(*doubled(problem_of(PLAIN, CONTINUOUS), Bridge(steps=8)), seed=0) is None
