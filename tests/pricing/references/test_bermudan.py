"""Bounds of early exercise on several assets: the literature, one-dimensional quadrature, their own derivatives."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.references import bermudan
from pricing.references.reference import Reference, affordable, reference
from pricing.specs.european import BestOf, Call, Put
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

LIKE = 0.999


@pytest.fixture
def max_call() -> PricingProblem:
    """The contract of Andersen & Broadie on three assets."""
    process = BlackScholes(
        volatilities=(0.2,) * 3,
        correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        rate=0.05,
        dividend_yields=(0.1,) * 3,
    )
    option = BestOf(initial=(1.0,) * 3, strike=100.0)
    return PricingProblem(
        process=process,
        payoff=Bermudan(option=option, dates=tuple((k + 1) / 9 for k in range(9))),
        maturity=3.0,
        features=(Feature(name="spot", lower=(80.0,) * 3, upper=(120.0,) * 3),),
    )


def test_the_literature_lies_between_the_bounds(
    max_call: PricingProblem, andersen_broadie: Callable[[int], list[dict[str, str]]]
) -> None:
    row = andersen_broadie(3)[1]
    got = reference(max_call, np.array([[float(row["spot"])] * 3]), order=1)
    assert got.kind == "lower bound and dual"
    assert got.gap is not None
    assert got.standard_error is not None
    assert 0.0 <= got.gap[0] <= 1e-3 * got.value[0]
    assert got.gap[0] <= got.standard_error[0]
    assert got.value[0] <= float(row["high"]) + got.standard_error[0]
    assert got.value[0] + got.standard_error[0] >= float(row["low"])


def basket(
    assets: int, option: type[Call] | type[Put], bounds: tuple[float, float], *, dividend: float
) -> PricingProblem:
    """A basket of assets that are nearly one, or that one."""
    volatility = 0.2 if assets > 1 else 0.2 * math.sqrt((1.0 + 2.0 * LIKE) / 3.0)
    rows = tuple(tuple(1.0 if i == j else LIKE for j in range(assets)) for i in range(assets))
    process = BlackScholes(
        volatilities=(volatility,) * assets, correlation=rows, rate=0.06, dividend_yields=(dividend,) * assets
    )
    payoff = Bermudan(option=option(weights=(1.0 / assets,) * assets, strike=40.0), dates=(0.2, 0.4, 0.6, 0.8, 1.0))
    lower, upper = bounds
    spots = Feature(name="spot", lower=(lower,) * assets, upper=(upper,) * assets)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spots,))


@pytest.mark.parametrize(
    ("option", "bounds", "dividend"), [(Put, (5.0, 100.0), 0.0), (Put, (32.0, 48.0), 0.02), (Call, (25.0, 70.0), 0.1)]
)
def test_like_assets_are_one_asset(
    option: type[Call] | type[Put], bounds: tuple[float, float], dividend: float
) -> None:
    levels = bounds[0] + (bounds[1] - bounds[0]) * np.array([[0.3], [0.6]])
    exact = reference(basket(1, option, bounds, dividend=dividend), levels)
    problem = basket(3, option, bounds, dividend=dividend)
    got = reference(problem, np.repeat(levels, 3, axis=1))
    assert got.standard_error is not None
    assert got.gradient_error is not None
    assert got.hessian_error is not None
    # The basket of lognormal assets is not quite lognormal: a thousandth of its variance is not shared.
    assert (np.abs(got.value - exact.value) <= got.standard_error + 1e-5).all()
    assert (np.abs(got.gradient - exact.gradient / 3.0) <= got.gradient_error + 1e-4).all()
    assert (np.abs(got.hessian - exact.hessian / 9.0) <= got.hessian_error + 1e-4).all()
    assert (got.standard_error < 2e-3).all()


def with_features(problem: PricingProblem) -> PricingProblem:
    """Volatility scale, strike and maturity vary beside the spots."""
    others = (
        Feature(name="volatility_scale", lower=(0.8,), upper=(1.2,)),
        Feature(name="strike", lower=(35.0,), upper=(45.0,)),
        Feature(name="maturity", lower=(0.5,), upper=(1.5,)),
    )
    return replace(problem, features=(*problem.features, *others))


def test_other_features_are_those_of_one_asset() -> None:
    one, three = (with_features(basket(n, Put, (25.0, 60.0), dividend=0.0)) for n in (1, 3))
    rest = [1.1, 41.0, 0.8]
    exact = reference(one, np.array([[38.0, *rest]]), order=1)
    got = reference(three, np.array([[38.0] * 3 + rest]), order=1)
    assert got.known == "spots"
    assert got.gradient_error is not None
    missed = np.abs(got.gradient[0, 3:] - exact.gradient[0, 1:])
    assert (missed <= got.gradient_error[0, 3:] + 1e-4).all()
    assert (missed < 0.03 * np.abs(exact.gradient[0, 1:])).all()
    assert (affordable(three) or 0) < (affordable(basket(3, Put, (25.0, 60.0), dividend=0.0)) or 0)


def finite(got: Reference) -> bool:
    errors = [error for error in (got.standard_error, got.gradient_error, got.hessian_error) if error is not None]
    return all(np.isfinite(part).all() for part in (got.value, got.gradient, got.hessian, *errors))


def test_limits_are_finite() -> None:
    put = basket(3, Put, (25.0, 60.0), dividend=0.0)
    still = replace(put, process=replace(put.process, volatilities=(0.0,) * 3))
    got = reference(still, np.array([[30.0] * 3]))
    assert finite(got)
    assert got.value[0] == pytest.approx(40.0 * math.exp(-0.012) - 30.0, abs=1e-6)
    nothing = reference(put, np.array([[0.0, 0.0, 60.0]]))
    assert finite(nothing)
    assert nothing.value[0] == pytest.approx(40.0 * math.exp(-0.012) - 20.0, abs=0.01)


def test_derivatives_are_left_out_where_nobody_asks() -> None:
    means, errors, gap = bermudan.enclosed(
        basket(3, Put, (25.0, 60.0), dividend=0.0), np.full((1, 3), 40.0), order=0, seed=1
    )
    for part in (means, errors):
        assert part.value[0] > 0.0
        assert not part.gradient.any()
        assert not part.hessian.any()
    assert gap.shape == (1,)
