"""Groups of like assets: correlation, Boxes, dividends, and how many arrangements are learnt from."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.specs.european import BestOf, Call
from pricing.specs.exchange import MOST_SAMPLES, copies, like_assets
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.specs.schedule import Dividend


def basket(assets: int = 4, **process: object) -> PricingProblem:
    correlation = tuple(tuple(1.0 if i == j else 0.3 for j in range(assets)) for i in range(assets))
    given = {"volatilities": (0.2,) * assets, "correlation": correlation, **process}
    return PricingProblem(
        process=BlackScholes(**given),  # type: ignore[arg-type]
        payoff=Call(weights=(0.25,) * assets, strike=100.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(80.0,) * assets, upper=(120.0,) * assets),),
    )


def test_all_may_be_alike() -> None:
    assert like_assets(basket()) == ((0, 1, 2, 3),)


def test_volatilities_weights_bounds_and_dividends_tell_assets_apart() -> None:
    plain = basket()
    assert like_assets(basket(volatilities=(0.2, 0.3, 0.2, 0.3))) == ((0, 2), (1, 3))
    weighted = replace(plain, payoff=Call(weights=(0.2, 0.2, 0.2, 0.4), strike=100.0))
    assert like_assets(weighted) == ((0, 1, 2),)
    wider = Feature(name="spot", lower=(70.0, 80.0, 80.0, 80.0), upper=(120.0,) * 4)
    assert like_assets(replace(plain, features=(wider,))) == ((1, 2, 3),)
    paying = basket(dividends=(Dividend(time=0.5, asset=2, amount=1.0), Dividend(time=0.5, asset=3, amount=1.0)))
    assert like_assets(paying) == ((0, 1), (2, 3))


def test_a_field_in_whose_place_a_feature_stands_tells_nothing() -> None:
    differing = basket(2, volatilities=(0.2, 0.3))
    volatility = Feature(name="volatility", lower=(0.1, 0.1), upper=(0.4, 0.4))
    assert like_assets(differing) == ()
    assert like_assets(replace(differing, features=(*differing.features, volatility))) == ((0, 1),)
    wider = replace(volatility, lower=(0.1, 0.15))
    assert like_assets(replace(differing, features=(*differing.features, wider))) == ()


def test_correlations_tell_assets_apart() -> None:
    """Two pairs of twins: a twin may change places with its own alone."""
    rho = ((1.0, 0.9, 0.1, 0.1), (0.9, 1.0, 0.1, 0.1), (0.1, 0.1, 1.0, 0.5), (0.1, 0.1, 0.5, 1.0))
    assert like_assets(basket(correlation=rho)) == ((0, 1), (2, 3))
    chain = ((1.0, 0.5, 0.2, 0.2), (0.5, 1.0, 0.5, 0.2), (0.2, 0.5, 1.0, 0.2), (0.2, 0.2, 0.2, 1.0))
    assert like_assets(basket(correlation=chain)) == ((0, 2),)


def test_a_correlation_that_varies_takes_the_place_of_the_matrix() -> None:
    chain = basket(3, correlation=((1.0, 0.5, 0.2), (0.5, 1.0, 0.5), (0.2, 0.5, 1.0)))
    assert like_assets(chain) == ((0, 2),)
    one = Feature(name="correlation", lower=(0.1,), upper=(0.6,))
    assert like_assets(replace(chain, features=(*chain.features, one))) == ((0, 1, 2),)
    each = Feature(name="loading", lower=(0.1, 0.1, 0.2), upper=(0.6, 0.6, 0.6))
    assert like_assets(replace(chain, features=(*chain.features, each))) == ((0, 1),)


def test_an_option_inside_is_looked_at() -> None:
    early = Bermudan(option=BestOf(initial=(1.0, 1.0, 2.0, 2.0), strike=100.0), dates=(0.5, 1.0))
    assert like_assets(replace(basket(), payoff=early)) == ((0, 1), (2, 3))


@pytest.mark.parametrize(("samples", "expected"), [(64, 24), (512, 16), (5000, 1), (100_000, 1)])
def test_few_samples_are_learnt_from_often(samples: int, expected: int) -> None:
    assert copies(basket(), samples) == expected
    assert expected * samples <= max(samples, MOST_SAMPLES)


def test_nothing_is_alike_alone() -> None:
    assert copies(basket(1), 64) == 1
    assert copies(basket(2, volatilities=(0.2, 0.3)), 64) == 1
