"""The one table of all that may be a feature: names, units, bounds, Greeks, and the roles in scaling and noise.

Whoever asks what a parameter is reads it here: the checks of a problem, the outputs of a surrogate and their names over
HTTP, exact scaling, the references, and the page of the specification. Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from pricing.specs.base import LARGEST_SIZE
from pricing.specs.dates import MAXIMUM_DATES

# Largest |skew| of a surface: at 1 its slope is infinite at a point.
MAXIMUM_SKEW = 0.999
# Least jump intensity that may vary, per year: a derivative by it comes from paths that jump.
LEAST_INTENSITY = 0.01
# Years of a contract; volatility per square root of a year where levels are positive, at which a year leaves nothing of
# nearly every path; and whatever else is counted per year.
MAXIMUM_YEARS, MAXIMUM_VOLATILITY, MAXIMUM_PACE = 1e3, 100.0, 1e4
# Parameters by name with the value that each has where it is no feature.
Parameters = dict[str, tuple[float, ...]]
# What exact scaling makes of a parameter: levels are divided by the strike; the maturity becomes 1; volatilities are
# multiplied by its root, paces by itself; carry goes into the forward or is a pace; the rest stays as it is.
Scaling = Literal["level", "maturity", "volatility", "pace", "carry", "none"]
# What moves with it in the random part of a path: nothing, a step as it stands, or the variance on its way too.
Noise = Literal["none", "step", "variance"]

SpecType = TypeVar("SpecType", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a parameter is.

    Args:
        unit: of its values; of volatilities where levels are positive, of strikes on levels.
        least, most: the bounds of its values; those of any size where levels may be negative, see `bounds`.
        greek: the name of the derivative by it; None of the spots, whose derivative is delta.
        sign: of that derivative, -1 for theta.
        field: of the process or payoff that holds its values.
        pieces: the field that holds its later values, where it is piecewise constant in time.
        has_it, coordinates, meaning: what has it, how many numbers it is and what they are, in words.
        scaling, noise: its roles.
        size: of a move by it that means something whatever its value; None where the value itself tells.
        signed: whether it may have any sign where levels of the assets may.
    """

    unit: str
    least: float = -math.inf
    most: float = math.inf
    greek: str | None
    sign: float = 1.0
    field: str
    pieces: str | None = None
    has_it: str
    coordinates: str = "one per asset"
    meaning: str
    scaling: Scaling
    noise: Noise
    size: float | None = None
    signed: bool = False


# In the order in which outputs are listed.
PARAMETERS: Mapping[str, Parameter] = {
    "spot": Parameter(
        unit="currency",
        least=0.0,
        most=LARGEST_SIZE,
        greek=None,
        field="features",
        has_it="every problem, always",
        meaning="level of the asset today, currency",
        scaling="level",
        noise="none",
        signed=True,
    ),
    "volatility": Parameter(
        unit="1 / sqrt(year)",
        least=0.0,
        most=MAXIMUM_VOLATILITY,
        greek="vega",
        field="volatilities",
        has_it="bachelier, black_scholes, local_volatility, merton",
        meaning="per square root of a year; currency per square root of a year under bachelier",
        scaling="volatility",
        noise="step",
    ),
    "volatility_scale": Parameter(
        unit="1",
        least=0.0,
        most=1e3,
        greek="volatility_scale",
        field="volatility_pieces",
        pieces="volatility_pieces",
        has_it="every process",
        coordinates="1, and 1 per volatility piece",
        meaning="factor on all volatilities, then that of each piece",
        scaling="volatility",
        noise="step",
    ),
    "maturity": Parameter(
        unit="years",
        least=0.0,
        most=MAXIMUM_YEARS,
        greek="theta",
        sign=-1.0,
        field="maturity",
        has_it="every problem",
        coordinates="1",
        meaning="years to payment",
        scaling="maturity",
        noise="variance",
    ),
    "rate": Parameter(
        unit="1 / year",
        least=-MAXIMUM_PACE,
        most=MAXIMUM_PACE,
        greek="rho",
        field="rate",
        pieces="rate_pieces",
        has_it="every process but bachelier without carry",
        coordinates="1, and 1 per rate piece",
        meaning="per year",
        scaling="carry",
        noise="none",
        size=0.1,
    ),
    "dividend_yield": Parameter(
        unit="1 / year",
        least=-MAXIMUM_PACE,
        most=MAXIMUM_PACE,
        greek="dividend",
        field="dividend_yields",
        has_it="every process but ito_diffusion and bachelier without carry",
        meaning="per year",
        scaling="carry",
        noise="none",
        size=0.1,
    ),
    "strike": Parameter(
        unit="currency",
        least=-LARGEST_SIZE,
        most=LARGEST_SIZE,
        greek="strike",
        field="strike",
        has_it="every payoff but autocall and pieces",
        coordinates="1",
        meaning="in the unit of the payoff's strike",
        scaling="level",
        noise="none",
        signed=True,
    ),
    "knot": Parameter(
        unit="currency",
        least=-LARGEST_SIZE,
        most=LARGEST_SIZE,
        greek="knot",
        field="knots",
        has_it="pieces",
        coordinates="one per knot",
        meaning="where two pieces meet, currency; knots keep their order over the whole Box",
        scaling="level",
        noise="none",
        signed=True,
    ),
    "past_average": Parameter(
        unit="currency",
        least=-LARGEST_SIZE,
        most=LARGEST_SIZE,
        greek="past_average",
        field="past_average",
        has_it="asian with past fixings",
        coordinates="1",
        meaning="average of the basket over the past fixings, currency",
        scaling="level",
        noise="none",
        signed=True,
    ),
    "correlation": Parameter(
        unit="1",
        least=-1.0,
        most=1.0,
        greek="correlation",
        field="correlation",
        has_it="two assets or more",
        coordinates="1",
        meaning="of every pair of assets, in place of the matrix",
        scaling="none",
        noise="variance",
        size=1.0,
    ),
    "loading": Parameter(
        unit="1",
        least=-1.0,
        most=1.0,
        greek="loading",
        field="correlation",
        has_it="two assets or more",
        meaning="l of rho_ij = l_i l_j, in place of the matrix",
        scaling="none",
        noise="variance",
        size=1.0,
    ),
    "barrier": Parameter(
        unit="currency",
        least=0.0,
        most=LARGEST_SIZE,
        greek="barrier",
        field="barrier",
        has_it="barrier",
        coordinates="1",
        meaning="currency",
        scaling="level",
        noise="none",
        signed=True,
    ),
    "knock_in": Parameter(
        unit="1",
        least=0.0,
        most=LARGEST_SIZE,
        greek="knock_in",
        field="knock_in",
        has_it="autocall",
        coordinates="1",
        meaning="a performance",
        scaling="none",
        noise="none",
    ),
    "coupon_barrier": Parameter(
        unit="1",
        least=0.0,
        most=LARGEST_SIZE,
        greek="coupon_barrier",
        field="coupon_barrier",
        has_it="autocall",
        coordinates="1",
        meaning="a performance",
        scaling="none",
        noise="none",
    ),
    "missed_coupons": Parameter(
        unit="1",
        least=0.0,
        most=MAXIMUM_DATES,
        greek="missed_coupons",
        field="missed_coupons",
        has_it="autocall that says how many it has missed",
        coordinates="1",
        meaning="coupons missed at past dates that a memory still owes",
        scaling="none",
        noise="none",
    ),
    "skew": Parameter(
        unit="1",
        least=-MAXIMUM_SKEW,
        most=MAXIMUM_SKEW,
        greek="skew",
        field="skews",
        has_it="local_volatility",
        meaning="rho of the surface",
        scaling="none",
        noise="step",
        size=1.0,
    ),
    "curvature": Parameter(
        unit="1",
        least=0.0,
        greek="curvature",
        field="curvatures",
        has_it="local_volatility",
        meaning="eta of the surface",
        scaling="none",
        noise="step",
    ),
    "initial_variance": Parameter(
        unit="1 / year",
        least=0.0,
        most=MAXIMUM_PACE,
        greek="initial_variance",
        field="initial_variances",
        has_it="heston",
        meaning="v(0), per year",
        scaling="pace",
        noise="variance",
    ),
    "mean_reversion": Parameter(
        unit="1 / year",
        least=0.0,
        most=MAXIMUM_PACE,
        greek="mean_reversion",
        field="mean_reversions",
        has_it="heston",
        meaning="kappa, per year",
        scaling="pace",
        noise="variance",
    ),
    "long_variance": Parameter(
        unit="1 / year",
        least=0.0,
        most=MAXIMUM_PACE,
        greek="long_variance",
        field="long_variances",
        has_it="heston",
        meaning="theta, per year",
        scaling="pace",
        noise="variance",
    ),
    "variance_volatility": Parameter(
        unit="1 / year",
        least=0.0,
        most=MAXIMUM_PACE,
        greek="variance_volatility",
        field="variance_volatilities",
        has_it="heston",
        meaning="xi, per year",
        scaling="pace",
        noise="variance",
    ),
    "spot_variance_correlation": Parameter(
        unit="1",
        least=-1.0,
        most=1.0,
        greek="spot_variance_correlation",
        field="spot_variance_correlations",
        has_it="heston",
        meaning="rho",
        scaling="none",
        noise="step",
    ),
    "jump_intensity": Parameter(
        unit="1 / year",
        least=LEAST_INTENSITY,
        most=100.0,
        greek="jump_intensity",
        field="jump_intensities",
        has_it="merton",
        meaning="lambda, jumps per year; varying from 0.01 on, for where nothing jumps no path tells its derivative",
        scaling="pace",
        noise="step",
    ),
    "jump_mean": Parameter(
        unit="1",
        least=-5.0,
        most=5.0,
        greek="jump_mean",
        field="jump_means",
        has_it="merton",
        meaning="mu of ln J",
        scaling="none",
        noise="step",
    ),
    "jump_deviation": Parameter(
        unit="1",
        least=0.0,
        most=5.0,
        greek="jump_deviation",
        field="jump_deviations",
        has_it="merton",
        meaning="delta of ln J",
        scaling="none",
        noise="step",
    ),
    "constant": Parameter(
        unit="its own",
        greek="constant",
        field="constants",
        has_it="ito_diffusion",
        coordinates="one per constant",
        meaning="in the order of their names; one that never varies is written as a number",
        scaling="none",
        noise="step",
    ),
}
# Names of the outputs of a surrogate: these always, and the derivative by every feature but the spots.
OUTPUTS = ("value", "delta", "gamma")
GREEKS = tuple(parameter.greek for parameter in PARAMETERS.values() if parameter.greek is not None)


def bounds(name: str, *, positive: bool, assets: int) -> tuple[float, float]:
    """The least and largest value that a parameter may ever have.

    One correlation of all pairs is a matrix's from -1 / (assets - 1) on.

    Args:
        positive: whether levels of the process stay positive; else spots and barriers may be negative.
    """
    parameter = PARAMETERS[name]
    if name == "correlation":
        return -1.0 / (assets - 1), parameter.most
    if parameter.signed and not positive:
        return -LARGEST_SIZE, LARGEST_SIZE
    if name == "volatility" and not positive:
        return parameter.least, LARGEST_SIZE
    return parameter.least, parameter.most


def with_values(spec: SpecType, values: Mapping[str, tuple[float, ...]]) -> SpecType:
    """A process or payoff with other values of some of its parameters, their pieces as they are."""
    fields = {PARAMETERS[name].field: numbers for name, numbers in values.items()}
    return replace(spec, **{field: _like(getattr(spec, field), numbers) for field, numbers in fields.items()})


def _like(old: object, numbers: tuple[float, ...]) -> object:
    """The numbers as a field has them: several, by name in the order of the names, or one."""
    if isinstance(old, Mapping):
        return dict(zip(sorted(old), numbers, strict=True))
    return numbers if isinstance(old, tuple) else numbers[0]
