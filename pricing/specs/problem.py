"""A payoff on a process at a maturity, as a function of the features in a Box."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NoReturn

from msgspec.structs import replace

from pricing.domain import UNKNOWN, Box, Feature
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff, Ranked
from pricing.specs.process import MAXIMUM_SKEW, Bachelier, Parameters, Process
from pricing.specs.units import unit

# Largest |rate| times maturity: e^10 is a growth that no market has, and squares of it stay far from overflow.
MAXIMUM_EXPONENT = 10.0
# Parameters that are >= 0, and those that are > 0 as levels of a geometric process are.
NOT_NEGATIVE = frozenset(
    {
        *("maturity", "volatility", "volatility_scale", "initial_variance", "mean_reversion", "long_variance"),
        *("variance_volatility", "curvature", "knock_in", "coupon_barrier"),
    }
)
# What has a value until the first of the process's pieces, and one from the start of each.
PIECES = {"rate": "rate_pieces", "volatility_scale": "volatility_pieces"}
CORRELATIONS = frozenset({"loading", "spot_variance_correlation"})


class PricingProblem(Spec, frozen=True, kw_only=True, dict=True):
    """A payoff on a process at a maturity, as a function of the features in the Box.

    Args:
        process: the dynamics of the assets.
        payoff: what is paid, on as many assets as the process has.
        maturity: years to payment, >= 0.
        features: what varies, with bounds. ``spot`` is one of them, with one coordinate per asset; the others are
            parameters of the process and the payoff, each with as many coordinates as it has values.
    """

    process: Process
    payoff: Payoff
    maturity: float
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.maturity) and self.maturity >= 0.0):
            raise InvalidSpec(
                f"maturity must be finite and >= 0 years, got {self.maturity!r}", path="maturity", bound=0.0
            )
        require_match(self)
        require_features(self)
        require_growth(self)

    @cached_property
    def box(self) -> Box:
        """The domain that the features span, with the parameters' own units where none are given."""
        return Box(features=tuple(self._with_unit(feature) for feature in self.features))

    def _with_unit(self, feature: Feature) -> Feature:
        known = feature.unit if feature.unit != UNKNOWN else unit(feature.name, self.process, self.payoff)
        return replace(feature, unit=known)

    @cached_property
    def parameters(self) -> Parameters:
        """Every parameter with its own value; a feature of the same name takes its place."""
        return {"maturity": (self.maturity,), **self.process.parameters, **self.payoff.parameters}

    @property
    def sizes(self) -> dict[str, int]:
        """Number of coordinates of everything that may be a feature.

        ``correlation`` is one number for all pairs, ``loading`` l gives rho_ij = l_i l_j; either replaces the matrix.
        """
        assets = self.process.assets
        correlations = {"correlation": 1, "loading": assets} if assets > 1 else {}
        return {"spot": assets, **{name: len(values) for name, values in self.parameters.items()}, **correlations}


def require_match(problem: PricingProblem) -> None:
    """Raise InvalidSpec unless payoff and process fit each other."""
    process, payoff = problem.process, problem.payoff
    if payoff.assets != process.assets:
        refuse_assets(payoff, process.assets)
    if isinstance(process, Bachelier) and isinstance(payoff, Asian) and payoff.average == "geometric":
        raise InvalidSpec(
            "payoff.average: 'geometric' needs positive levels, which a Bachelier process does not keep; use another "
            "process or 'arithmetic'",
            path="payoff.average",
        )
    if isinstance(payoff, Autocall) and isinstance(process, Bachelier):
        raise InvalidSpec("payoff: an autocall needs positive levels; use another process", path="payoff")
    if isinstance(payoff, Barrier) and not isinstance(process, Bachelier) and not payoff.barrier > 0.0:
        raise InvalidSpec(
            f"payoff.barrier must be > 0 (currency), got {payoff.barrier!r}: the levels of this process are positive "
            "and never touch it; take a call or put instead, or a 'bachelier' process",
            path="payoff.barrier",
            bound=0.0,
        )


def refuse_assets(payoff: Payoff, assets: int) -> NoReturn:
    """Raise InvalidSpec about the field that says on how many assets the payoff is."""
    if isinstance(payoff, Barrier):
        raise InvalidSpec(
            f"payoff: a barrier is on one asset, got a process of {assets}; give it one", path="payoff", bound=1
        )
    owner, option = ("payoff.option", payoff.option) if isinstance(payoff, Bermudan) else ("payoff", payoff)
    name, entry = ("initial", "level") if isinstance(option, Ranked | Autocall) else ("weights", "weight")
    field = f"{owner}.{name}"
    raise InvalidSpec(
        f"{field} must have one {entry} per asset ({assets}), got {payoff.assets}", path=field, bound=assets
    )


def require_features(problem: PricingProblem) -> None:
    """Raise InvalidSpec unless every feature is a parameter of the problem, of its size and within its own bounds."""
    names, sizes = [feature.name for feature in problem.features], problem.sizes
    if "spot" not in names:
        raise InvalidSpec(f"features: 'spot' must be one of them, got {names}", path="features")
    if {"correlation", "loading"} <= set(names):
        raise InvalidSpec("features: give 'correlation' or 'loading', not both", path="features")
    for i, feature in enumerate(problem.features):
        path = f"features[{i}]"
        if feature.name not in sizes:
            raise InvalidSpec(
                f"{path}: this problem has no parameter {feature.name!r}; choose from {', '.join(sizes)}",
                path=f"{path}.name",
                bound=list(sizes),
            )
        if feature.size != sizes[feature.name]:
            wanted = coordinates(feature.name, sizes[feature.name])
            raise InvalidSpec(
                f"{path}: {feature.name} must have {wanted}, got {feature.size}",
                path=f"{path}.lower",
                bound=sizes[feature.name],
            )
        least, most = bounds(problem, feature.name)
        if not (min(feature.lower) >= least and max(feature.upper) <= most):
            raise InvalidSpec(
                f"{path}: {feature.name} must stay in [{least:g}, {most:g}], got [{min(feature.lower)!r}, "
                f"{max(feature.upper)!r}]",
                path=f"{path}.lower",
                bound=[least, most],
            )


def coordinates(name: str, size: int) -> str:
    """How many coordinates a feature has, and what each is for.

    >>> coordinates("rate", 3)
    'one coordinate until the first of process.rate_pieces and one for each of them (3)'
    """
    if size == 1:
        return "one coordinate (1)"
    if name in PIECES:
        return f"one coordinate until the first of process.{PIECES[name]} and one for each of them ({size})"
    return f"one coordinate per asset ({size})"


def bounds(problem: PricingProblem, name: str) -> tuple[float, float]:
    """The least and largest value that a feature may ever have."""
    assets = problem.process.assets
    if name == "correlation":
        return -1.0 / (assets - 1), 1.0
    if name == "skew":
        return -MAXIMUM_SKEW, MAXIMUM_SKEW
    if name in CORRELATIONS:
        return -1.0, 1.0
    if name in NOT_NEGATIVE or (name in ("spot", "barrier") and not isinstance(problem.process, Bachelier)):
        return 0.0, math.inf
    return -math.inf, math.inf


def require_growth(problem: PricingProblem) -> None:
    """Raise InvalidSpec where a rate grows beyond e^MAXIMUM_EXPONENT over the longest maturity."""
    lower = {feature.name: min(feature.lower) for feature in problem.features}
    upper = {feature.name: max(feature.upper) for feature in problem.features}
    longest = upper.get("maturity", problem.maturity)
    for name, field in (("rate", "rate"), ("dividend_yield", "dividend_yields")):
        values = problem.process.parameters.get(name, ())
        for rate in (*values, lower.get(name, 0.0), upper.get(name, 0.0)):
            if not abs(rate) * longest <= MAXIMUM_EXPONENT:
                raise InvalidSpec(
                    f"process.{field} times maturity must be in [-{MAXIMUM_EXPONENT:g}, {MAXIMUM_EXPONENT:g}], got "
                    f"{rate!r} per year over {longest!r} years",
                    path=f"process.{field}",
                    bound=MAXIMUM_EXPONENT,
                )
