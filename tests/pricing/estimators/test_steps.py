"""Paths step by step are the process's own paths, with one normal that lifts every asset."""

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.estimators.steps import CERTAIN, Steps, require_affine, steps, threshold, turn
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.payoff import Autocall
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.schedule import Dividend, Piece
from tests.pricing.cases import DATED, PAIR, PLAIN, STOCHASTIC, alike, problem_of

CORRELATION = ((1.0, -0.4, 0.3), (-0.4, 1.0, 0.2), (0.3, 0.2, 1.0))


def basket(process: Process, dates: tuple[float, ...]) -> PricingProblem:
    """A worst-of contract that looks at the dates."""
    assets = process.assets
    payoff = Autocall(
        initial=(100.0,) * assets,
        dates=dates,
        triggers=(1.0,) * len(dates),
        coupon=0.05,
        coupon_barrier=0.8,
        knock_in=0.6,
    )
    return problem_of(process, payoff, maturity=2.0)


SKEWED = replace(STOCHASTIC, long_variances=(0.05,), spot_variance_correlations=(-0.6,), steps=4)
PROCESSES: list[Process] = [
    BlackScholes(
        volatilities=(0.2, 0.3, 0.1),
        correlation=CORRELATION,
        rate=0.03,
        volatility_pieces=(Piece(start=0.7, value=1.5),),
    ),
    SKEWED,
    alike(SKEWED, PAIR),
]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_walk_has_the_moments_of_the_simulated_path(process: Process) -> None:
    problem = basket(process, (0.3, 1.0))
    at = scenario(problem, torch.full((1, process.assets), 100.0, dtype=torch.float64))
    until = times(problem, at)
    normals = torch.zeros(1, 2, sum(blocks(process, 2)), dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    normals[..., 2 * process.assets :] = torch.randn(normals[..., 2 * process.assets :].shape, generator=generator)
    path = steps(process, at, normals, until)
    levels = simulate(process, at, normals, until).levels()
    assert torch.allclose(walk(path), levels, rtol=1e-12)
    probe = normals.clone()
    probe[..., : process.assets] = 1.0
    moved = simulate(process, at, probe, until).levels(0)
    first = torch.cat([path.along[:, :, 0, :, None], path.across[:, :, 0]], dim=-1)
    covariance = first @ first.mT
    assert (moved.log() - simulate(process, at, normals, until).levels(0).log()).abs().max() > 0.0
    if isinstance(process, BlackScholes):
        sigma = torch.tensor(process.volatilities, dtype=torch.float64)
        expected = 0.6 * sigma[:, None] * sigma * torch.tensor(CORRELATION, dtype=torch.float64)
        assert torch.allclose(covariance[0, 0], expected, rtol=1e-12)


def walk(path: Steps) -> Tensor:
    """The last levels with every open normal at 0."""
    y = torch.zeros_like(path.drift[:, :, 0])
    for step in range(path.dates):
        y = path.rest(y, step)
    return path.level(y, path.dates)


def test_the_open_normal_lifts_all_assets_equally_in_deviations() -> None:
    factor = torch.diag(torch.tensor([0.2, 3.0, 0.1], dtype=torch.float64)) @ torch.linalg.cholesky(
        torch.tensor(CORRELATION, dtype=torch.float64)
    )
    along, across = turn(factor)
    lift = along / torch.tensor([0.2, 3.0, 0.1], dtype=torch.float64)
    assert torch.allclose(lift, lift[:1].expand(3))
    assert (along > 0.0).all()
    whole = torch.cat([along[:, None], across], dim=1)
    assert torch.allclose(whole @ whole.mT, factor @ factor.mT)


def test_a_certain_asset_does_not_spoil_the_turn() -> None:
    factor = torch.tensor([[0.0, 0.0], [0.1, 0.2]], dtype=torch.float64, requires_grad=True)
    along, across = turn(factor)
    (gradient,) = torch.autograd.grad((along.sum() + across.sum()), factor)
    assert torch.isfinite(gradient).all()
    assert along[0].item() == 0.0


def test_a_certain_step_decides_the_threshold() -> None:
    edge = torch.tensor([0.1, -0.1], dtype=torch.float64)
    end = threshold(torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64), edge)
    assert end.tolist() == pytest.approx([0.1 / CERTAIN, -0.1 / CERTAIN])


def test_edges_and_levels_are_inverse(problem: PricingProblem) -> None:
    process = problem.process
    assert isinstance(process, Bachelier)
    spots = torch.full((2, problem.box.dimension), 1.1, dtype=torch.float64)
    at = scenario(problem, spots)
    path = steps(process, at, torch.zeros(1, 1, process.assets, dtype=torch.float64), times(problem, at))
    level = torch.full((1, 1, process.assets), 0.7, dtype=torch.float64)
    assert torch.allclose(path.level(path.edge(level, 1), 1), level.expand(2, -1, -1))


def test_cash_dividends_are_refused() -> None:
    process = replace(PLAIN, dividends=(Dividend(time=0.5, amount=1.0),))
    with pytest.raises(InvalidSpec, match="dividends in cash"):
        require_affine(process)


def test_one_date_of_a_barrier_is_the_last() -> None:
    problem = problem_of(PLAIN, replace(DATED, dates=(0.5,)))
    at = scenario(problem, torch.tensor([[100.0]], dtype=torch.float64))
    path = steps(PLAIN, at, torch.zeros(1, 1, 2, dtype=torch.float64), times(problem, at))
    assert path.along[0, 0, :, 0].tolist() == pytest.approx([0.2 * 0.5**0.5] * 2)
