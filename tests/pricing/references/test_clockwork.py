"""Events of one asset: dates and dividends in order, and the coordinate there and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pricing.references.clockwork import Clockwork, clockwork
from pricing.simulation.scenario import scenario
from pricing.specs.european import Put
from pricing.specs.payoff import Barrier, Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from pricing.specs.schedule import Dividend, Piece

Build = Callable[..., PricingProblem]
PUT = Put(weights=(1.0,), strike=100.0)
DATED = Bermudan(option=PUT, dates=(0.25, 0.5, 1.0))
DIVIDENDS = (
    Dividend(time=0.1, amount=2.0),
    Dividend(time=0.5, proportion=0.1),
    Dividend(time=0.5 + 1e-9, amount=1.0),
    Dividend(time=0.75, amount=3.0, proportion=0.02),
    Dividend(time=1.2, amount=5.0),
)
PAYING = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.04, dividends=DIVIDENDS)
GAUSSIAN = Bachelier(
    volatilities=(20.0,),
    correlation=((1.0,),),
    convention="carry",
    rate=0.05,
    volatility_pieces=(Piece(start=0.4, value=1.5),),
)


@pytest.fixture
def works(problem: Build) -> Callable[[BlackScholes | Bachelier], Clockwork]:
    """The events of the dated payoff over a year."""

    def build(process: BlackScholes | Bachelier) -> Clockwork:
        case = problem(process, DATED, 1.0)
        return clockwork(process, DATED, scenario(case, torch.tensor([[100.0]], dtype=torch.float64)))

    return build


def test_dividends_are_events_or_paid_at_a_date(works: Callable[[BlackScholes], Clockwork]) -> None:
    """Two on a date, one after the last date."""
    got = works(PAYING)
    assert got.marks == (None, 0, 1, None, 2)
    assert got.dividends == (DIVIDENDS[:1], (), DIVIDENDS[1:3], DIVIDENDS[3:4], ())
    times = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
    assert got.paid.tolist() == pytest.approx(np.exp(-0.04 * times))
    assert got.carry.tolist() == pytest.approx(0.04 * times)
    assert got.variances.tolist() == pytest.approx(0.09 * times)


@pytest.mark.parametrize("process", [PAYING, GAUSSIAN], ids=["black_scholes", "bachelier"])
def test_the_coordinate_goes_there_and_back(
    works: Callable[[BlackScholes | Bachelier], Clockwork], process: BlackScholes | Bachelier
) -> None:
    got, spots = works(process), torch.linspace(20.0, 200.0, 19, dtype=torch.float64)
    for k in range(len(got.marks)):
        torch.testing.assert_close(got.spot(got.coordinate(spots, k), k), spots, rtol=1e-13, atol=0.0)
        torch.testing.assert_close(got.left(got.whole(spots, k), k), spots, rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("process", [PAYING, GAUSSIAN], ids=["black_scholes", "bachelier"])
def test_the_discounted_asset_is_a_martingale(
    works: Callable[[BlackScholes | Bachelier], Clockwork], process: BlackScholes | Bachelier
) -> None:
    """E[S(y + step)] = S(y) e^(G_k - G_(k-1)) by Gauss-Hermite quadrature, and steps add up to the variance."""
    got = works(process)
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(40))
    total = torch.zeros((), dtype=torch.float64)
    for k in range(1, len(got.marks)):
        deviation, mean = got.step(k)
        y = got.coordinate(torch.tensor(100.0, dtype=torch.float64), k - 1)
        average = (got.spot(y + mean + deviation * nodes, k) * weights).sum() / weights.sum()
        assert float(average) == pytest.approx(100.0 * float(torch.exp(got.carry[k] - got.carry[k - 1])), rel=1e-12)
        total = total + deviation.square()
    assert float(total + got.step(0)[0].square()) == pytest.approx(float(got.variances[-1]), rel=1e-12)


def test_the_variance_of_a_discounted_gaussian_is_an_integral(works: Callable[[Bachelier], Clockwork]) -> None:
    """The squared volatility times e^(-2 r t), half as large again from 0.4 years on, at a year."""
    before, after = (1.0 - np.exp(-0.04)) / 0.1, (np.exp(-0.04) - np.exp(-0.1)) / 0.1
    assert float(works(GAUSSIAN).variances[-1]) == pytest.approx(400.0 * (before + 2.25 * after), rel=1e-12)


def test_spots_below_every_edge_are_the_floor(problem: Build) -> None:
    payoff = Barrier(strike=100.0, barrier=80.0, direction="down", knock="out", dates=(0.5,))
    case = problem(PAYING, payoff, 1.0)
    got = clockwork(PAYING, payoff, scenario(case, torch.tensor([[100.0]], dtype=torch.float64)))
    assert 0.0 < got.floor < 1e-4 * 80.0
    assert float(got.left(torch.tensor(1.0, dtype=torch.float64), 0)) == got.floor
    low, reach = torch.tensor(3.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    assert float(got.lowest(0, low, reach)) == 3.0
    assert float(got.lowest(1, low, reach)) == pytest.approx(np.log(got.floor) - 0.04 * 0.1 - 0.5)
