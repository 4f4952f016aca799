"""Low and high bounds of early exercise against the literature."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.exercise.bounds import bounds
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf, Call
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston

TABLE = Path(__file__).parents[2] / "reference" / "andersen_broadie.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def max_call(assets: int, dates: int, *, dividend: float = 0.1) -> PricingProblem:
    """The market of Andersen & Broadie."""
    process = BlackScholes(
        volatilities=(0.2,) * assets,
        correlation=tuple(tuple(float(i == j) for j in range(assets)) for i in range(assets)),
        rate=0.05,
        dividend_yields=(dividend,) * assets,
    )
    option = BestOf(initial=(1.0,) * assets, strike=100.0)
    return PricingProblem(
        process=process,
        payoff=Bermudan(option=option, dates=tuple((k + 1) / dates for k in range(dates))),
        maturity=3.0,
        features=(Feature(name="spot", lower=(85.0,) * assets, upper=(115.0,) * assets),),
    )


@pytest.mark.parametrize("assets", [2, 5])
def test_the_bounds_enclose_the_literature(assets: int) -> None:
    rows = [row for row in ROWS if int(row["assets"]) == assets]
    rows = rows if assets == 2 else rows[1:2]
    features = torch.tensor([[float(row["spot"])] * assets for row in rows], dtype=torch.float64)
    degree = 4 if assets == 2 else 2
    found = bounds(max_call(assets, 9), features, Frozen(degree=degree, paths=1 << 13), seed=1)
    assert found.high is not None
    assert found.high_error is not None
    assert (found.low <= [float(row["high"]) for row in rows] + 4.0 * found.low_error).all()
    assert (found.high >= [float(row["low"]) for row in rows] - 4.0 * found.high_error).all()
    gap = (found.high - found.low) / found.low
    assert (np.abs(gap) < 0.02).all()


def test_the_chances_of_exercise_add_up_to_that_of_any() -> None:
    found = bounds(max_call(2, 4), torch.full((1, 2), 100.0, dtype=torch.float64), Frozen(paths=1 << 12), seed=1)
    assert (found.exercise_probability >= 0.0).all()
    assert 0.5 < found.exercise_probability.sum() < 1.0


def test_a_call_without_dividends_is_never_exercised_early() -> None:
    problem = max_call(1, 4, dividend=0.0)
    features = torch.tensor([[90.0], [110.0]], dtype=torch.float64)
    found = bounds(problem, features, Frozen(paths=1 << 14, degree=4), seed=1)
    assert (found.exercise_probability[:, :-1] < 0.01).all()


def test_a_variance_that_levels_do_not_tell_leaves_no_high_bound() -> None:
    process = Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.0,),
        long_variances=(0.04,),
        variance_volatilities=(0.3,),
        spot_variance_correlations=(-0.5,),
        correlation=((1.0,),),
        steps=4,
    )
    problem = PricingProblem(
        process=process,
        payoff=Bermudan(option=Call(weights=(1.0,), strike=100.0), dates=(0.5, 1.0)),
        maturity=1.0,
        features=(Feature(name="spot", lower=(80.0,), upper=(120.0,)),),
    )
    found = bounds(problem, torch.tensor([[100.0]], dtype=torch.float64), Frozen(paths=1 << 10), seed=1)
    assert found.high is None
    assert found.low[0] > 0.0


def test_a_payoff_without_dates_is_refused() -> None:
    problem = PricingProblem(
        process=BlackScholes(volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Call(weights=(1.0,), strike=100.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(80.0,), upper=(120.0,)),),
    )
    with pytest.raises(InvalidSpec, match="Bermudan"):
        bounds(problem, torch.tensor([[100.0]], dtype=torch.float64), Frozen(), seed=1)
