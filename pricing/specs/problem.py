"""A payoff on a process at a maturity, as a function of the features in a Box."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cached_property
from typing import Any, NoReturn

from msgspec.structs import force_setattr, replace

from pricing.domain import UNKNOWN, Box, Feature
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, dump, require_at_most, require_number
from pricing.specs.parameters import PARAMETERS, Parameters, bounds
from pricing.specs.payoff import Payoff, as_it_stands
from pricing.specs.process import Process

# Largest |rate| times maturity: e^10 is a growth that no market has, and squares of it stay far from overflow.
MAXIMUM_EXPONENT = 10.0
# Fields of processes that say how paths are made, not what is priced.
GRIDS = frozenset({"steps", "scheme"})


class PricingProblem(Spec, frozen=True, kw_only=True, dict=True):
    """A payoff on a process at a maturity, as a function of the features in the Box.

    Args:
        process: the dynamics of the assets.
        payoff: what is paid, on as many assets as the process has; of one that is running, what is left of it.
        maturity: years to payment, >= 0.
        features: what varies, with bounds. ``spot`` is one of them, with one coordinate per asset; the others are
            parameters of the process and the payoff, each with as many coordinates as it has values.
    """

    process: Process
    payoff: Payoff
    maturity: float
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "payoff", as_it_stands(self.payoff))
        require_number("maturity", self.maturity)
        require_at_most("features", self.features, len(PARAMETERS))
        if not self.maturity >= 0.0:
            raise InvalidSpec(
                f"maturity must be finite and >= 0 years, got {self.maturity!r}", path="maturity", bound=0.0
            )
        require_match(self)
        require_constants(self)
        require_features(self)
        require_growth(self)

    @cached_property
    def box(self) -> Box:
        """The domain that the features span, with the parameters' own units where none are given."""
        return Box(features=tuple(self._with_unit(feature) for feature in self.features))

    def _with_unit(self, feature: Feature) -> Feature:
        known = feature.unit if feature.unit != UNKNOWN else unit(self, feature.name)
        return replace(feature, unit=known)

    @cached_property
    def parameters(self) -> Parameters:
        """Every parameter with its own value; a feature of the same name takes its place."""
        return {"maturity": (self.maturity,), **self.process.parameters, **self.payoff.parameters}

    def bounds(self, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Least and largest coordinates of a parameter over the Box; its values where it is no feature."""
        for feature in self.features:
            if feature.name == name:
                return feature.lower, feature.upper
        return self.parameters[name], self.parameters[name]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of coordinates of everything that may be a feature.

        ``correlation`` is one number for all pairs, ``loading`` l gives rho_ij = l_i l_j; either replaces the matrix.
        """
        assets = self.process.assets
        correlations = {"correlation": 1, "loading": assets} if assets > 1 else {}
        return {"spot": assets, **{name: len(values) for name, values in self.parameters.items()}, **correlations}


def require_constants(problem: PricingProblem) -> None:
    """Raise InvalidSpec for a constant parameter that no feature of its name could be, as a maturity of 1e300 years."""
    for name, values in problem.parameters.items():
        _, most = bounds(name, positive=problem.process.facts.positive, assets=problem.process.assets)
        if not all(-most <= value <= most for value in values):
            largest, parameter = max(values, key=abs), PARAMETERS[name]
            field = name if name == "maturity" else parameter.field
            raise InvalidSpec(
                f"{field} must be at most {most:g} ({parameter.unit}) in size, got {largest!r}", path=field, bound=most
            )


def unit(problem: PricingProblem, name: str) -> str:
    """The unit of a parameter: volatilities that multiply no level are in currency, strikes on performances are not."""
    process = problem.process.facts
    if name == "volatility" and not process.positive and not process.level_noise:
        return "currency / sqrt(year)"
    return problem.payoff.facts.strike_unit if name == "strike" else PARAMETERS[name].unit


def require_match(problem: PricingProblem) -> None:
    """Raise InvalidSpec unless payoff and process fit each other."""
    process, payoff = problem.process, problem.payoff
    if payoff.assets != process.assets:
        refuse_assets(payoff, process.assets)
    if process.facts.positive:
        require_reachable(payoff)
        return
    needed = payoff.facts.positive_levels
    if needed is not None:
        path, asking = (f"payoff.{needed}", getattr(payoff, needed)) if needed else ("payoff", tag(payoff))
        raise InvalidSpec(
            f"{path}: {asking!r} needs positive levels, which the levels of '{tag(process)}' are not; use another one",
            path=path,
        )


def require_reachable(payoff: Payoff) -> None:
    """Raise InvalidSpec for a barrier that positive levels never touch."""
    for barrier in payoff.parameters.get("barrier", ()):
        if not barrier > 0.0:
            raise InvalidSpec(
                f"payoff.barrier must be > 0 (currency), got {barrier!r}: the levels of this process are positive and "
                "never touch it; take a call or put instead, or a 'bachelier' process",
                path="payoff.barrier",
                bound=0.0,
            )


def refuse_assets(payoff: Payoff, assets: int) -> NoReturn:
    """Raise InvalidSpec about the field that says on how many assets the payoff is."""
    sized_by = payoff.facts.sized_by
    if sized_by is None:
        raise InvalidSpec(
            f"payoff: a {tag(payoff)} is on one asset, got a process of {assets}; give it one", path="payoff", bound=1
        )
    field, entry = f"payoff.{sized_by}", "weight" if sized_by.endswith("weights") else "level"
    raise InvalidSpec(
        f"{field} must have one {entry} per asset ({assets}), got {payoff.assets}", path=field, bound=assets
    )


def tag(spec: Process | Payoff) -> str:
    """The kind of a process or payoff, as a specification spells it."""
    return str(spec.__struct_config__.tag)


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
        if (reason := problem.process.facts.constant.get(feature.name)) is not None:
            raise InvalidSpec(
                f"{path}: {feature.name} may not vary, because {reason}; keep it constant", path=f"{path}.name"
            )
        if feature.size != sizes[feature.name]:
            wanted = coordinates(feature.name, sizes[feature.name])
            raise InvalidSpec(
                f"{path}: {feature.name} must have {wanted}, got {feature.size}",
                path=f"{path}.lower",
                bound=sizes[feature.name],
            )
        least, most = bounds(feature.name, positive=problem.process.facts.positive, assets=problem.process.assets)
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
    if (pieces := PARAMETERS[name].pieces) is not None:
        return f"one coordinate until the first of process.{pieces} and one for each of them ({size})"
    return f"one coordinate {PARAMETERS[name].coordinates.removeprefix('one ')} ({size})"


def require_growth(problem: PricingProblem) -> None:
    """Raise InvalidSpec where a rate grows beyond e^MAXIMUM_EXPONENT over the longest maturity."""
    lower = {feature.name: min(feature.lower) for feature in problem.features}
    upper = {feature.name: max(feature.upper) for feature in problem.features}
    longest = upper.get("maturity", problem.maturity)
    for name, parameter in PARAMETERS.items():
        if parameter.scaling != "carry":
            continue
        field, values = parameter.field, problem.process.parameters.get(name, ())
        for rate in (*values, lower.get(name, 0.0), upper.get(name, 0.0)):
            if not abs(rate) * longest <= MAXIMUM_EXPONENT:
                raise InvalidSpec(
                    f"process.{field} times maturity must be in [-{MAXIMUM_EXPONENT:g}, {MAXIMUM_EXPONENT:g}], got "
                    f"{rate!r} per year over {longest!r} years",
                    path=f"process.{field}",
                    bound=MAXIMUM_EXPONENT,
                )


def unlike(one: PricingProblem, other: PricingProblem) -> str | None:
    """The first field by which two problems have other prices at the same features; None where they have the same.

    What varies in both may have any value of its own, and grids and schemes are no part of the price.
    """
    varying = {feature.name for feature in one.features} & {feature.name for feature in other.features}
    fields = [field for name in varying for field in (PARAMETERS[name].field, PARAMETERS[name].pieces)]
    return _unlike("problem", dump(one), dump(other), {"features", *GRIDS, *fields})


def _unlike(path: str, one: Mapping[str, Any], other: Mapping[str, Any], free: Set[str | None]) -> str | None:
    for name in sorted({*one, *other} - free):
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            if (found := _unlike(f"{path}.{name}", left, right, free)) is not None:
                return found
        elif left != right:
            return f"{path}.{name}"
    return None
