"""The induction on two assets against closed forms, the literature and identities; least-squares rules against it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.references import bermudan, pair
from pricing.references.reference import reference
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.specs.schedule import Dividend

BEST = BestOf(initial=(1.0, 1.0), strike=100.0)
ALIKE = BlackScholes(
    volatilities=(0.2, 0.2), correlation=((1.0, 0.0), (0.0, 1.0)), rate=0.05, dividend_yields=(0.1, 0.1)
)
UNLIKE = BlackScholes(
    volatilities=(0.2, 0.35), correlation=((1.0, 0.4), (0.4, 1.0)), rate=0.05, dividend_yields=(0.1, 0.04)
)
SPOTS = np.array([[90.0, 90.0], [110.0, 100.0], [95.0, 118.0], [82.0, 119.0]])


def case(
    process: BlackScholes, option: Call | Put | WorstOf | BestOf, count: int, *others: Feature, upper: float = 120.0
) -> PricingProblem:
    spot = Feature(name="spot", lower=(80.0, 80.0), upper=(120.0, upper))
    dates = tuple((k + 1) / count for k in range(count))
    payoff = Bermudan(option=option, dates=dates)
    return PricingProblem(process=process, payoff=payoff, maturity=3.0, features=(spot, *others))


@pytest.mark.parametrize("process", [ALIKE, UNLIKE], ids=["alike", "unlike"])
@pytest.mark.parametrize(
    "option",
    [BEST, WorstOf(initial=(1.0, 1.0), strike=100.0, side="put"), Put(weights=(0.5, 0.5), strike=100.0)],
    ids=lambda option: type(option).__name__,
)
def test_one_date_is_the_european(process: BlackScholes, option: BestOf | WorstOf | Put) -> None:
    got = reference(case(process, option, 1), SPOTS)
    exact = reference(replace(case(process, option, 1), payoff=option), SPOTS)
    assert (got.kind, exact.kind) == ("plane quadrature", "closed form")
    assert np.abs(got.value - exact.value).max() < got.relative_error * exact.value.max()
    assert np.abs(got.gradient - exact.gradient).max() < got.relative_error * np.abs(exact.gradient).max()
    assert np.abs(got.hessian - exact.hessian).max() < 2e-4 * np.abs(exact.hessian).max()


def test_values_are_those_of_the_literature(andersen_broadie: Callable[[int], list[dict[str, str]]]) -> None:
    rows = andersen_broadie(2)
    spots = np.array([[float(row["spot"])] * 2 for row in rows])
    got = reference(case(ALIKE, BEST, 9), spots, order=0)
    for value, row in zip(got.value.tolist(), rows, strict=True):
        assert value == pytest.approx(float(row["low"]), abs=float(row["tolerance"]))


def test_a_put_on_one_of_them_is_the_put_on_one_asset() -> None:
    """The exercise boundary runs along one asset's axis."""
    first = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.05, dividend_yields=(0.1,))
    option = Put(weights=(1.0,), strike=100.0)
    alone = PricingProblem(
        process=first,
        payoff=Bermudan(option=option, dates=(0.25, 0.5, 0.75, 1.0)),
        maturity=3.0,
        features=(Feature(name="spot", lower=(80.0,), upper=(120.0,)),),
    )
    exact, got = (
        reference(alone, SPOTS[:, :1]),
        reference(case(UNLIKE, replace(option, weights=(1.0, 0.0)), 4), SPOTS),
    )
    assert np.abs(got.value - exact.value).max() < 1e-5 * exact.value.max()
    assert np.abs(got.gradient[:, 0] - exact.gradient[:, 0]).max() < 1e-5
    assert np.abs(got.gradient[:, 1]).max() < 1e-5
    assert np.abs(got.hessian[:, 0, 0] - exact.hessian[:, 0, 0]).max() < 1e-4 * exact.hessian.max()


def test_other_features_are_differenced() -> None:
    """Values are homogeneous in spots and strike, and so are the first derivatives, of degree zero."""
    strike = Feature(name="strike", lower=(90.0,), upper=(110.0,))
    x = np.array([[95.0, 104.0, 100.0]])
    got = reference(case(UNLIKE, BEST, 3, strike), x)
    assert got.gradient_error is not None
    assert float((x * got.gradient).sum()) == pytest.approx(float(got.value[0]), rel=1e-4)
    assert np.abs(got.hessian[0] @ x[0]).max() < 5e-3
    assert 0.0 < got.gradient_error[0, 2] < 1e-4
    assert not got.gradient_error[0, :2].any()


def test_dividends_and_spots_far_apart() -> None:
    """Rows on grids of their own, and a share that a date's dividend takes before it."""
    paying = replace(UNLIKE, dividends=(Dividend(time=1.0, proportion=0.1, asset=1),))
    far = np.array([[1e-6, 90.0], [100.0, 1e-9], [100.0, 90.0], [3000.0, 90.0]])
    option = Put(weights=(0.5, 0.5), strike=100.0)
    together = reference(case(paying, option, 3), far)
    for row in range(len(far)):
        alone = reference(case(paying, option, 3), far[row : row + 1])
        assert np.allclose(together.value[row], alone.value[0], rtol=1e-5, atol=1e-5)
        assert np.allclose(together.gradient[row], alone.gradient[0], atol=1e-5)
    european = reference(replace(case(paying, option, 3), payoff=option), far)
    assert (together.value >= european.value - 1e-4).all()
    one = reference(case(paying, option, 1), far)
    assert np.abs(one.value - european.value).max() < one.relative_error * european.value.max()


def test_certain_assets_are_worth_their_best_date() -> None:
    still = replace(ALIKE, volatilities=(0.0, 0.0))
    got = reference(case(still, Put(weights=(0.5, 0.5), strike=100.0), 2), np.array([[80.0, 90.0], [120.0, 130.0]]))
    forward = [np.exp(-0.05 * t) * max(100.0 - 85.0 * np.exp(-0.05 * t), 0.0) for t in (1.5, 3.0)]
    assert got.value[0] == pytest.approx(max(forward), rel=1e-6)
    assert np.isfinite(got.hessian).all()


def test_a_date_just_after_another_needs_too_large_a_grid() -> None:
    for dates, expected in ((tuple((k + 1) / 9 for k in range(9)), True), ((0.999, 1.0), False)):
        payoff = Bermudan(option=BEST, dates=dates)
        assert pair.supported(replace(case(ALIKE, BEST, 2), payoff=payoff), ALIKE, payoff) == expected


@pytest.mark.parametrize("process", [ALIKE, UNLIKE], ids=["alike", "unlike"])
def test_bounds_of_a_rule_at_every_sample_enclose_it(process: BlackScholes) -> None:
    problem, rows = case(process, BEST, 5), np.array(SPOTS)[:2]
    exact = reference(problem, rows)
    means, errors, gap = bermudan.enclosed(problem, rows, order=2, seed=1)
    for mean, error, right in zip(means, errors, (exact.value, exact.gradient, exact.hessian), strict=True):
        assert (np.abs(mean - right) <= error + exact.relative_error * np.abs(right).max()).all()
    assert (gap < 1e-3 * exact.value).all()
