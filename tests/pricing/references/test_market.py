"""One sample's assets in logarithms: their law, its density, and what exercise pays."""

import numpy as np
import torch

from pricing.references.market import gain, market
from pricing.simulation.scenario import scenario
from tests.pricing.references.markets import MAXIMUM, MINIMUM, ROWS, three

ROW = torch.tensor([[100.0, 90.0, 110.0]], dtype=torch.float64)


def normals(paths: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((3, paths)))


def test_forwards_are_martingales_and_logarithms_have_the_correlation() -> None:
    here = market(three(MAXIMUM), ROW)
    x = here.start[:, None].expand(-1, 1 << 17)
    for k in range(here.dates):
        before, x = x, here.step(x, normals(1 << 17).roll(k, dims=1), k)
    forward = ROW[0] * torch.exp(here.carry[-1])
    torch.testing.assert_close(x.exp().mean(dim=1), forward, rtol=5e-3, atol=0.0)
    torch.testing.assert_close(torch.corrcoef(x - before), torch.tensor(ROWS, dtype=torch.float64), rtol=0.0, atol=0.01)
    torch.testing.assert_close(here.factor @ here.factor.T, here.rho)


def test_the_density_is_that_of_the_step() -> None:
    """E of the ratio of two densities is 1, and the score of the mean has expectation 0."""
    here, there = (market(three(MAXIMUM), row) for row in (ROW, ROW * 1.01))
    after = here.step(here.start[:, None], normals(1 << 16), 0)
    own, other = (one.log_density(one.start[:, None], after, 0) for one in (here, there))
    assert abs(float((other - own).exp().mean()) - 1.0) < 0.01


def test_gains_and_today_s_money() -> None:
    for option, pick in ((MAXIMUM, "amax"), (MINIMUM, "amin")):
        problem = three(option)
        here, at = market(problem, ROW), scenario(problem, ROW)
        levels = torch.tensor([[90.0, 120.0], [100.0, 95.0], [105.0, 99.0]], dtype=torch.float64)
        sign = 1.0 if option.side == "call" else -1.0
        expected = sign * (getattr(levels, pick)(dim=0) - 100.0)
        torch.testing.assert_close(here.exercised(levels.log(), 1), expected * np.exp(-0.05))
        torch.testing.assert_close(gain(option, levels.T[None, :, None], at)[0, :, 0], expected)
