"""Values that others have published, against the reference and against labels, with their own tolerance."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, Process

FOLDER = Path(__file__).parents[2] / "reference"
Row = Mapping[str, str]
# Standard errors that a simulated value may be off; those of eight replicates are uncertain by a quarter.
ERRORS = 5.0
# Share of the value that labels by a fitted exercise rule, or by 16 time steps of Heston a year, may miss.
BIAS = {"bermudan": 0.005, "heston": 0.003}
LABELS = LabelSpec(samples=1, paths=1024, order=1)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A value between two bounds, alike where it is known; the bias is what labels may miss beside noise."""

    problem: PricingProblem
    spots: tuple[float, ...]
    low: float
    high: float
    tolerance: float
    bias: float = 0.0


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split())


def flow(volatilities: tuple[float, ...], rho: tuple[float, ...], rate: str, *yields: float) -> BlackScholes:
    """Black-Scholes assets; one correlation for all pairs, or the rows of the matrix one after the other."""
    assets = len(volatilities)
    matrix = np.reshape(rho, (assets, assets)) if len(rho) > 1 else np.full((assets, assets), rho[0])
    np.fill_diagonal(matrix, 1.0)
    return BlackScholes(
        volatilities=volatilities,
        correlation=tuple(map(tuple, matrix.tolist())),
        rate=float(rate),
        dividend_yields=yields,
    )


def case(row: Row, process: Process, payoff: Payoff, years: float, *spots: float, bias: float = 0.0) -> Published:
    levels = Feature(name="spot", lower=tuple(0.5 * s for s in spots), upper=tuple(2.0 * s for s in spots))
    return Published(
        problem=PricingProblem(process=process, payoff=payoff, maturity=years, features=(levels,)),
        spots=spots,
        low=float(row.get("low", row.get("value", ""))),
        high=float(row.get("high", row.get("value", ""))),
        tolerance=float(row["tolerance"]),
        bias=bias,
    )


def basket(row: Row) -> Published:
    kind = Call if row["side"] == "call" else Put
    process = flow(numbers(row["volatilities"]), numbers(row["correlation"]), row["rate"], *numbers(row["yields"]))
    payoff = kind(weights=numbers(row["weights"]), strike=float(row["strike"]))
    return case(row, process, payoff, float(row["days"]) / 365.0, *numbers(row["spots"]))


def ranked(row: Row) -> Published:
    number = {name: float(row[name]) for name in row if name not in ("rank", "side", "source")}
    kind = WorstOf if row["rank"] == "worst_of" else BestOf
    volatilities = (number["volatility_1"], number["volatility_2"])
    process = flow(volatilities, (number["correlation"],), row["rate"], number["yield_1"], number["yield_2"])
    payoff = kind(initial=(1.0, 1.0), strike=number["strike"], side="call" if row["side"] == "call" else "put")
    return case(row, process, payoff, number["maturity"], number["spot_1"], number["spot_2"])


def levy(row: Row) -> Published:
    count, first = int(row["dates"]), float(row["first_month"]) / 12.0
    days = first + 11.0 / 12.0 * np.arange(count) / (count - 1)
    shares = (*(days[:-1] / days[-1]).tolist(), 1.0)
    payoff = Asian(weights=(1.0,), strike=87.0, side="put", dates=shares)
    return case(row, flow((0.13,), (1.0,), "0.025", 0.06), payoff, float(days[-1]), 90.0)


def barrier(row: Row) -> Published:
    count = int(row["dates"])
    payoff = Barrier(
        strike=float(row["strike"]),
        barrier=float(row["barrier"]),
        direction="down" if row["direction"] == "down" else "up",
        knock="in" if row["knock"] == "in" else "out",
        dates=tuple((k + 1) / count for k in range(count)),
    )
    process = flow((float(row["volatility"]),), (1.0,), row["rate"], float(row["dividend_yield"]))
    return case(row, process, payoff, float(row["maturity"]), float(row["spot"]))


def heston(row: Row) -> Published:
    years = int(row["maturity"])
    process = Heston(
        initial_variances=(float(row["initial_variance"]),),
        mean_reversions=(float(row["mean_reversion"]),),
        long_variances=(float(row["long_variance"]),),
        variance_volatilities=(float(row["variance_volatility"]),),
        spot_variance_correlations=(float(row["correlation"]),),
        correlation=((1.0,),),
        rate=float(row["rate"]),
        dividend_yields=(float(row["dividend_yield"]),),
        steps=16 * years,
    )
    payoff = (Call if row["side"] == "call" else Put)(weights=(1.0,), strike=float(row["strike"]))
    return case(row, process, payoff, float(years), float(row["spot"]), bias=BIAS["heston"])


def american(row: Row) -> Published:
    """Fifty dates a year, as in the simulations of the source."""
    years = int(row["maturity"])
    dates = tuple((k + 1) / (50 * years) for k in range(50 * years))
    payoff = Bermudan(option=Put(weights=(1.0,), strike=40.0), dates=dates)
    process = flow((float(row["volatility"]),), (1.0,), "0.06")
    return case(row, process, payoff, float(years), float(row["spot"]), bias=BIAS["bermudan"])


def max_call(row: Row, dates: int, years: float, rho: float) -> Published:
    payoff = Bermudan(
        option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=tuple((k + 1) / dates for k in range(dates))
    )
    spot, process = float(row["spot"]), flow((0.2, 0.2), (rho,), "0.05", 0.1, 0.1)
    return case(row, process, payoff, years, spot, spot, bias=BIAS["bermudan"])


TABLES: dict[str, Callable[[Row], Published]] = {
    "andersen_broadie": lambda row: max_call(row, 9, 3.0, 0.0),
    "barriers": barrier,
    "baskets": basket,
    "broadie_glasserman": lambda row: max_call(row, 3, 1.0, 0.3),
    "heston": heston,
    "levy_asians": levy,
    "longstaff_schwartz": american,
    "stulz": ranked,
}


# Of the long tables every so many rows; three and five assets are for `test_bermudan` and `test_bounds`.
EVERY = {"longstaff_schwartz": slice(2, None, 6), "andersen_broadie": slice(3)}


def read(name: str) -> list[Row]:
    rows: list[Row] = list(csv.DictReader((FOLDER / f"{name}.csv").read_text().splitlines()))
    return rows[EVERY.get(name, slice(None))]


def alone(value: float, tolerance: float) -> Row:
    return {"value": repr(value), "tolerance": repr(tolerance)}


CASES = {f"{name} {i}": build(row) for name, build in TABLES.items() for i, row in enumerate(read(name))} | {
    # Haug, Option Pricing Formulas (1998), p. 88, as quoted in QuantLib's test-suite/digitaloption.cpp.
    "haug digital": case(
        alone(2.6710, 5e-5),
        flow((0.35,), (1.0,), "0.06", 0.06),
        Digital(weights=(1.0,), strike=80.0, side="put", cash=10.0),
        0.75,
        100.0,
    ),
    # Clewlow & Strickland, Implementing Derivatives Models, pp. 118-123, as quoted, with more digits, in QuantLib's
    # test-suite/asianoptions.cpp testAnalyticDiscreteGeometricAveragePrice.
    "clewlow strickland geometric asian": case(
        alone(5.3425606635, 1e-10),
        flow((0.2,), (1.0,), "0.06", 0.03),
        Asian(weights=(1.0,), strike=100.0, dates=tuple((k + 1) / 10 for k in range(10)), average="geometric"),
        1.0,
        100.0,
    ),
    # Ballestra, Pacelli & Zirilli (2007), section 4: between 22.48 and 22.52; as quoted in QuantLib's
    # test-suite/asianoptions.cpp testMCDiscreteArithmeticAveragePriceHeston.
    "ballestra heston asian": case(
        alone(22.50, 0.02),
        Heston(
            initial_variances=(0.09,),
            mean_reversions=(11.35,),
            long_variances=(0.022,),
            variance_volatilities=(0.618,),
            spot_variance_correlations=(-0.5,),
            correlation=((1.0,),),
            rate=0.05,
            steps=48,
        ),
        Asian(weights=(1.0,), strike=100.0, dates=tuple((k + 1) / 12 for k in range(12))),
        1.0,
        120.0,
    ),
}

# Labels by an exercise rule of Bermudans on several assets: one row of each table every time, the others at night.
NIGHTLY = {f"{name} {i}" for name in ("longstaff_schwartz", "andersen_broadie") for i in (1, 2)}


def miss(value: float, published: Published) -> float:
    return max(published.low - value, value - published.high, 0.0)


@pytest.mark.parametrize("name", CASES)
def test_references_are_what_was_published(name: str) -> None:
    published = CASES[name]
    got = reference(published.problem, np.array([published.spots]), order=0)
    error = 0.0 if got.standard_error is None else got.standard_error[0]
    assert error < 2e-3 * published.high + 1e-5 * max(published.spots)
    assert miss(got.value[0], published) <= published.tolerance + ERRORS * error


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in NIGHTLY else ()) for name in CASES]
)
def test_labels_are_what_was_published(name: str) -> None:
    published = CASES[name]
    labels = make_labels(published.problem, torch.tensor([published.spots], dtype=torch.float64), LABELS, seed=1)
    assert labels.value_error is not None
    error = float(labels.value_error[0])
    assert error < 2e-2 * published.high + 1e-4 * max(published.spots)
    allowed = published.tolerance + published.bias * published.high + ERRORS * error
    assert miss(float(labels.value[0]), published) <= allowed
