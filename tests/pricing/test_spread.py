from __future__ import annotations

from math import sqrt

import pytest
from scipy.stats import kstest
from torch import Tensor

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.sampling import sample_features
from pricing.specs.european import Call, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Autocall, ForwardStart, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.sampler import MoneynessSampler
from pricing.specs.schedule import Dividend

ONE = ((1.0,),)
TWO = ((1.0, 0.3), (0.3, 1.0))
PLAIN = BlackScholes(volatilities=(0.2,), correlation=ONE)


def asked(process: Process, payoff: Payoff, *features: Feature, maturity: float = 1.0) -> PricingProblem:
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=features)


def spots(low: float, high: float, assets: int = 1) -> Feature:
    return Feature(name="spot", lower=(low,) * assets, upper=(high,) * assets)


def sampled(problem: PricingProblem, *, bound: float = 5.0) -> Tensor:
    return sample_features(problem, LabelSpec(samples=2048, sampler=MoneynessSampler(bound=bound)), seed=4)


def test_a_wide_box_is_spread_over_to_its_ends() -> None:
    """Spots of 20 to 500 for a strike of 100: far above it a deviation is far larger than at it."""
    x = sampled(asked(PLAIN, Call(weights=(1.0,), strike=100.0), spots(20.0, 500.0)), bound=5.0)[:, 0]
    assert (float(x.min()) < 30.0, float(x.max()) > 450.0) == (True, True)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0, 1e6])
@pytest.mark.parametrize("name", ["maturity", "volatility", "rate"])
def test_other_features_do_not_turn_the_way_of_the_spots(name: str, scale: float) -> None:
    """Both assets of a worst-of rise together towards its highest event, whatever the slope of another feature is."""
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=TWO)
    payoff = WorstOf(initial=(scale, scale), strike=1.0, side="put")
    size = 2 if name == "volatility" else 1
    other = Feature(name=name, lower=(0.05,) * size, upper=(0.1,) * size)
    x = sampled(asked(process, payoff, spots(0.7 * scale, 1.3 * scale, 2), other), bound=1.0)
    worst = x[:, :2].amin(dim=1) / scale
    assert 0.4 < float((worst > 1.0).double().mean()) < 0.6
    assert float(worst.std()) > 0.02


def test_an_autocall_near_its_end_is_sampled_from_knock_in_to_trigger() -> None:
    note = Autocall(initial=(100.0,), dates=(1.0,), triggers=(1.0,), coupon=0.1, coupon_barrier=0.8, knock_in=0.6)
    x = sampled(asked(PLAIN, note, spots(30.0, 160.0), maturity=0.01), bound=2.0)[:, 0]
    width = 2.0 * 0.2 * sqrt(0.01)
    low, high = 100.0 * 0.6 * (1.0 - width), 100.0 * (1.0 + width)
    assert kstest((x - low) / (high - low), "uniform").statistic < 0.01


def test_points_that_reach_no_kink_stay_uniform() -> None:
    """Strikes of 50 to 150 and spots of 95 to 105, a day before the end: few strikes are in reach."""
    strike = Feature(name="strike", lower=(50.0,), upper=(150.0,))
    x = sampled(asked(PLAIN, Call(weights=(1.0,), strike=100.0), spots(95.0, 105.0), strike, maturity=1 / 365))
    far = (x[:, 1] < 80.0) | (x[:, 1] > 120.0)
    assert float(far.double().mean()) == pytest.approx(0.6, abs=0.01)
    assert kstest((x[far, 0] - 95.0) / 10.0, "uniform").statistic < 0.03


@pytest.mark.parametrize("strike", [1.0, 1.2])
def test_a_forward_start_has_no_level_to_move_to(strike: float) -> None:
    """Its strike moves with the spots, and without carry nothing moves its event from 0."""
    process = Bachelier(volatilities=(20.0,), correlation=ONE)
    x = sampled(asked(process, ForwardStart(weights=(1.0,), strike=strike, start=0.5), spots(60.0, 140.0)))[:, 0]
    assert kstest((x - 60.0) / 80.0, "uniform").statistic < 0.01


def test_spots_below_their_dividends_rise_above_them() -> None:
    paid = BlackScholes(volatilities=(0.3,), correlation=ONE, dividends=(Dividend(time=0.3, amount=30.0),))
    x = sampled(asked(paid, Call(weights=(1.0,), strike=60.0), spots(20.0, 150.0)), bound=1.0)[:, 0]
    assert float(((x > 70.0) & (x < 116.0)).double().mean()) == 1.0


def test_a_box_below_its_dividends_is_refused_by_them() -> None:
    paid = BlackScholes(volatilities=(0.3,), correlation=ONE, dividends=(Dividend(time=0.3, amount=30.0),))
    with pytest.raises(
        InvalidSpec, match="dividends in cash, 30 in all, leave the forward of every spot of the Box at 0"
    ):
        sampled(asked(paid, Call(weights=(1.0,), strike=60.0), spots(5.0, 25.0)))


def test_prices_for_performances_are_refused_by_their_distance() -> None:
    """Deviations grow with the levels, so that levels of a hundred times the strike are five of their own above it."""
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=TWO)
    payoff = WorstOf(initial=(1.0, 1.0), strike=1.0, side="put")
    with pytest.raises(InvalidSpec, match=r"within 5 terminal standard deviations .* spot\[0\] = .* of them remain"):
        sampled(asked(process, payoff, spots(90.0, 110.0, 2)))
