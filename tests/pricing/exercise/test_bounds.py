"""Low and high bounds of early exercise against the literature."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.exercise.bounds import bounds
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from tests.pricing.cases import BERMUDAN, CALL, PLAIN, STOCHASTIC, alike, problem_of, uncorrelated

TABLE = Path(__file__).parents[2] / "reference" / "andersen_broadie.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def max_call(assets: int, dates: int, *, dividend: float = 0.1) -> PricingProblem:
    """The assets of Andersen & Broadie."""
    process = replace(alike(PLAIN, uncorrelated(assets)), rate=0.05, dividend_yields=(dividend,) * assets)
    option = BestOf(initial=(1.0,) * assets, strike=100.0)
    payoff = Bermudan(option=option, dates=tuple((k + 1) / dates for k in range(dates)))
    return problem_of(process, payoff, maturity=3.0, spots=(85.0, 115.0))


@pytest.mark.parametrize("assets", [2, 5])
def test_the_bounds_enclose_the_literature(assets: int) -> None:
    rows = [row for row in ROWS if int(row["assets"]) == assets]
    rows = rows if assets == 2 else rows[1:2]
    features = torch.tensor([[float(row["spot"])] * assets for row in rows], dtype=torch.float64)
    degree = 4 if assets == 2 else 2
    enclosed = bounds(max_call(assets, 9), features, Frozen(degree=degree, paths=1 << 13), seed=1)
    assert enclosed.high is not None
    assert enclosed.high_error is not None
    assert (enclosed.low <= [float(row["high"]) for row in rows] + 4.0 * enclosed.low_error).all()
    assert (enclosed.high >= [float(row["low"]) for row in rows] - 4.0 * enclosed.high_error).all()
    gap = (enclosed.high - enclosed.low) / enclosed.low
    assert (np.abs(gap) < 0.02).all()


def test_the_chances_of_exercise_add_up_to_that_of_any() -> None:
    enclosed = bounds(max_call(2, 4), torch.full((1, 2), 100.0, dtype=torch.float64), Frozen(paths=1 << 12), seed=1)
    assert (enclosed.exercise_probability >= 0.0).all()
    assert 0.5 < enclosed.exercise_probability.sum() < 1.0


def test_a_call_without_dividends_is_never_exercised_early() -> None:
    problem = max_call(1, 4, dividend=0.0)
    features = torch.tensor([[90.0], [110.0]], dtype=torch.float64)
    enclosed = bounds(problem, features, Frozen(paths=1 << 14, degree=4), seed=1)
    assert (enclosed.exercise_probability[:, :-1] < 0.01).all()


def test_a_variance_that_levels_do_not_tell_leaves_no_high_bound() -> None:
    problem = problem_of(replace(STOCHASTIC, steps=4), BERMUDAN)
    enclosed = bounds(problem, torch.tensor([[100.0]], dtype=torch.float64), Frozen(paths=1 << 10), seed=1)
    assert enclosed.high is None
    assert enclosed.low[0] > 0.0


def test_a_payoff_without_dates_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="Bermudan"):
        bounds(problem_of(PLAIN, CALL), torch.tensor([[100.0]], dtype=torch.float64), Frozen(), seed=1)
