"""Literal instances of every payoff, process and estimator: what `test_products` runs over.

A new product gets a line here, or several: one per side, number of assets, convention and kind of dates that make a
difference to it. They are written for assets around 100 and a maturity of one year. Every test runs on every line, and
on two assets where no line of a class has several.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.ito import ItoDiffusion
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, ForwardStart, Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process
from pricing.specs.schedule import Dividend, Piece

QUARTERS = (0.25, 0.5, 0.75, 1.0)
EARLY = (0.25, 0.5)
ONE = ((1.0,),)
TWO = ((1.0, 0.4), (0.4, 1.0))
THREE = ((1.0, 0.5, 0.2), (0.5, 1.0, 0.3), (0.2, 0.3, 1.0))

# Fields with one number per date.
DATED = ("dates", "triggers")

PAYOFFS: tuple[Payoff, ...] = (
    Call(weights=(1.0,), strike=100.0),
    Call(weights=(0.6, 0.4), strike=100.0),
    Call(weights=(0.5, 0.3, 0.2), strike=95.0),
    Put(weights=(2.0,), strike=190.0),
    Put(weights=(1.0, -0.9), strike=8.0),
    Digital(weights=(1.0,), strike=102.0, cash=10.0),
    Digital(weights=(0.5, 0.5), strike=100.0, side="put"),
    Pieces(weights=(1.0,), knots=(95.0, 110.0), slopes=(0.0, 1.0, 0.0)),
    Pieces(weights=(0.5, 0.5), knots=(85.0, 100.0, 115.0), slopes=(0.0, 1.0, -1.0, 0.0)),
    Pieces(weights=(1.0, -0.9), knots=(5.0, 15.0), slopes=(-1.0, 0.5, 2.0), jumps=(3.0, 0.0), cash=8.0),
    Pieces(weights=(-1.0,), knots=(-120.0, -85.0), slopes=(0.0, 0.0, 0.0), jumps=(5.0, -5.0)),
    Pieces(weights=(0.5, 0.3, 0.2), knots=(100.0,), slopes=(-1.0, 1.0)),
    WorstOf(initial=(1.0,), strike=95.0),
    WorstOf(initial=(100.0, 110.0), strike=0.95, side="put"),
    BestOf(initial=(1.0, 1.0), strike=105.0),
    BestOf(initial=(100.0, 95.0, 105.0), strike=1.1, side="put"),
    Asian(weights=(1.0,), strike=100.0, dates=QUARTERS),
    Asian(weights=(1.0,), strike=100.0, dates=EARLY, side="put"),
    Asian(weights=(1.0,), strike=98.0, dates=QUARTERS, average="geometric"),
    Asian(weights=(0.7, 0.3), strike=100.0, dates=(0.5, 1.0), side="put"),
    Asian(weights=(0.7, 0.3), strike=100.0, dates=(0.5, 1.0), average="geometric"),
    Asian(weights=(1.0,), strike=100.0, dates=QUARTERS, past_fixings=5, past_average=103.0),
    Asian(weights=(1.0,), strike=98.0, dates=EARLY, side="put", average="geometric", past_fixings=3, past_average=95.0),
    Asian(weights=(0.7, 0.3), strike=100.0, dates=(0.5, 1.0), past_fixings=1, past_average=97.0),
    ForwardStart(weights=(1.0,), strike=1.0, start=0.5),
    ForwardStart(weights=(0.7, 0.3), strike=0.95, start=0.25, side="put"),
    Barrier(strike=100.0, barrier=85.0, direction="down", knock="out"),
    Barrier(strike=105.0, barrier=120.0, direction="up", knock="in", side="put"),
    Barrier(strike=100.0, barrier=120.0, direction="up", knock="out", dates=(0.5, 1.0)),
    Barrier(strike=100.0, barrier=90.0, direction="down", knock="in", side="put", dates=EARLY),
    Autocall(initial=(100.0,), dates=(0.5, 1.0), triggers=(1.05, 1.0), coupon=0.04, coupon_barrier=0.8, knock_in=0.7),
    Autocall(
        initial=(100.0, 105.0),
        dates=(0.5, 1.0),
        triggers=(1.0, 0.95),
        coupon=0.05,
        coupon_barrier=0.9,
        knock_in=0.75,
        strike=0.9,
        memory=False,
        notional=100.0,
    ),
    Autocall(
        initial=(100.0,),
        dates=(0.5, 1.0),
        triggers=(1.05, 1.0),
        coupon=0.04,
        coupon_barrier=0.8,
        knock_in=0.7,
        missed_coupons=2.0,
    ),
    Autocall(
        initial=(100.0, 105.0),
        dates=(0.5, 1.0),
        triggers=(1.05, 1.0),
        coupon=0.04,
        coupon_barrier=0.8,
        knock_in=0.7,
        strike=0.95,
        missed_coupons=1.0,
        knocked_in=True,
    ),
    Bermudan(option=Put(weights=(1.0,), strike=100.0), dates=(0.5, 1.0)),
    Bermudan(option=Call(weights=(0.5, 0.5), strike=95.0), dates=(0.5, 1.0)),
    Bermudan(option=BestOf(initial=(1.0, 1.0), strike=105.0), dates=(0.5, 1.0)),
)

PROCESSES: tuple[Process, ...] = (
    Bachelier(volatilities=(20.0,), correlation=ONE),
    Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry", rate=0.04, dividend_yields=(0.01,)),
    Bachelier(
        volatilities=(18.0,),
        correlation=ONE,
        convention="carry",
        rate=0.02,
        rate_pieces=(Piece(start=0.4, value=0.05),),
        volatility_pieces=(Piece(start=0.6, value=1.5),),
    ),
    Bachelier(volatilities=(20.0, 15.0), correlation=TWO, convention="carry", rate=0.03, dividend_yields=(0.0, 0.02)),
    Bachelier(volatilities=(20.0, 25.0, 15.0), correlation=THREE),
    BlackScholes(volatilities=(0.2,), correlation=ONE),
    BlackScholes(volatilities=(0.25,), correlation=ONE, rate=0.04, dividend_yields=(0.02,)),
    BlackScholes(
        volatilities=(0.2,),
        correlation=ONE,
        rate=0.02,
        rate_pieces=(Piece(start=0.4, value=0.05),),
        volatility_pieces=(Piece(start=0.6, value=1.5),),
    ),
    BlackScholes(volatilities=(0.2,), correlation=ONE, rate=0.03, dividends=(Dividend(time=0.4, proportion=0.03),)),
    BlackScholes(volatilities=(0.2,), correlation=ONE, rate=0.03, dividends=(Dividend(time=0.4, amount=3.0),)),
    BlackScholes(volatilities=(0.2, 0.3), correlation=TWO, rate=0.03, dividend_yields=(0.01, 0.02)),
    BlackScholes(
        volatilities=(0.2, 0.25),
        correlation=TWO,
        rate=0.03,
        dividends=(Dividend(time=0.3, amount=2.0), Dividend(time=0.8, asset=1, amount=1.0, proportion=0.01)),
    ),
    BlackScholes(volatilities=(0.2, 0.3, 0.25), correlation=THREE, rate=0.02),
    Heston(
        initial_variances=(0.05,),
        mean_reversions=(1.5,),
        long_variances=(0.04,),
        variance_volatilities=(0.5,),
        spot_variance_correlations=(-0.6,),
        correlation=ONE,
        rate=0.02,
        steps=4,
    ),
    Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.0,),
        long_variances=(0.05,),
        variance_volatilities=(0.3,),
        spot_variance_correlations=(-1.0,),
        correlation=ONE,
        steps=4,
    ),
    Heston(
        initial_variances=(0.04, 0.06),
        mean_reversions=(1.5, 2.0),
        long_variances=(0.04, 0.05),
        variance_volatilities=(0.3, 0.4),
        spot_variance_correlations=(-0.7, -0.5),
        correlation=TWO,
        rate=0.03,
        dividend_yields=(0.0, 0.01),
        steps=4,
    ),
    Merton(
        volatilities=(0.2,),
        jump_intensities=(0.5,),
        jump_means=(-0.1,),
        jump_deviations=(0.15,),
        correlation=ONE,
        rate=0.03,
    ),
    Merton(
        volatilities=(0.2, 0.25),
        jump_intensities=(0.5, 0.0),
        jump_means=(-0.1, 0.0),
        jump_deviations=(0.15, 0.1),
        correlation=TWO,
        rate=0.02,
        dividend_yields=(0.0, 0.01),
    ),
    LocalVolatility(
        volatilities=(0.2,),
        skews=(-0.4,),
        curvatures=(1.0,),
        powers=(0.4,),
        reference_spots=(100.0,),
        correlation=ONE,
        rate=0.03,
        steps=4,
    ),
    LocalVolatility(
        volatilities=(0.2, 0.25),
        skews=(-0.4, 0.0),
        curvatures=(1.0, 0.5),
        powers=(0.4, 0.5),
        reference_spots=(100.0, 90.0),
        scheme="euler",
        correlation=TWO,
        rate=0.03,
        steps=4,
    ),
    ItoDiffusion(
        drifts=("kappa * (theta - S)",),
        diffusions=("sigma",),
        constants={"theta": 105.0, "kappa": 0.3, "sigma": 20.0},
        correlation=ONE,
        rate=0.02,
        steps=32,
    ),
    ItoDiffusion(
        drifts=("r * S",),
        diffusions=("sigma * S * exp(-0.3 * t) / sqrt(1 + (S / 100)^2)",),
        constants={"sigma": 0.3},
        scheme="euler",
        correlation=ONE,
        rate=0.03,
        steps=32,
    ),
    ItoDiffusion(
        drifts=("r * S", "0.1 * (90 - S)", "r * S"),
        diffusions=("0.2 * S", "max(15, 0.2 * S)", "0.2 * S"),
        correlation=THREE,
        rate=0.02,
        steps=4,
    ),
    ItoDiffusion(
        drifts=("r * S", "-tanh(S / 50)"),
        diffusions=("0.2 * S", "-2 * sqrt(S^2 + 1)^0.5"),
        correlation=TWO,
        rate=0.02,
        steps=4,
    ),
)

ESTIMATORS: tuple[Estimator, ...] = (
    Automatic(),
    Pathwise(),
    Pathwise(control="geometric"),
    Smoothed(),
    Smoothed(kernel="gaussian", width=0.02),
    Conditional(),
    Conditional(normal="last"),
    Survival(),
    Bridge(),
    Bridge(steps=3),
    LikelihoodRatio(),
    LikelihoodRatio(scope="last"),
    Frozen(degree=2, paths=1 << 10),
)


def check_members(name: str, union: object, instances: tuple[object, ...]) -> None:
    """Raise AssertionError unless every member of the union has an instance."""
    missing = {member.__name__ for member in get_args(union)} - {type(instance).__name__ for instance in instances}
    assert not missing, f"add instances of {', '.join(sorted(missing))} to {name} in tests/conformance/products.py"
    assert len(set(map(repr, instances))) == len(instances), f"{name} has an instance twice"


def check_choices(name: str, union: object, instances: tuple[object, ...]) -> None:
    """Raise AssertionError unless every word that a field may hold is held by an instance of that member."""
    for member in get_args(union):
        for field, kind in get_type_hints(member).items():
            words = (False, True) if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
            held = {getattr(instance, field) for instance in instances if type(instance) is member} if words else set()
            assert held == set(words), f"{name} has no {member.__name__} with {field} in {set(words) - held}"


def on_several(instances: tuple[Any, ...]) -> tuple[Any, ...]:
    """The instances, and on two assets those whose class has none on several, unless it refuses them."""
    single = [spec for spec in instances if all(like.assets == 1 for like in instances if type(like) is type(spec))]
    return (*instances, *(twice for spec in single if (twice := doubled(spec)).assets > 1))


def doubled(spec: Any) -> Any:
    """The product on two assets that are alike, itself where it is on one."""
    numbers = [name for name in spec.__struct_fields__ if name not in DATED and is_number(getattr(spec, name))]
    wider = {name: 2 * getattr(spec, name) for name in numbers}
    if "weights" in wider:  # the basket stays where the strike is
        wider["weights"] = tuple(0.5 * weight for weight in wider["weights"])
    try:
        return replace(spec, **wider, **({"correlation": TWO} if hasattr(spec, "correlation") else {}))
    except InvalidSpec:
        return spec


def is_number(value: object) -> bool:
    """Whether a field holds one number per asset of one."""
    return isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], float)
