"""The derivatives that have names of their own, as parts of delta and of the Hessian by all features. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from pricing.domain import Box, Feature
from pricing.specs.parameters import PARAMETERS
from pricing.types import Array

# What a volatility may be called in a Box: the first that is there is what vanna and the others are by.
VOLATILITIES = ("volatility", "volatility_scale", "initial_variance")
# The second derivatives that have names, by what each is: features of which the first that the Box has is meant. Their
# signs are those of the first derivatives: minus by the maturity.
VEGA = "vega"
CROSS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "vanna": (("spot",), VOLATILITIES),
    "volga": (VOLATILITIES, VOLATILITIES),
    "charm": (("spot",), ("maturity",)),
    "veta": (VOLATILITIES, ("maturity",)),
    "vera": (VOLATILITIES, ("rate",)),
    "dual_gamma": (("strike",), ("strike",)),
}
# Before the names of two features: the block of the Hessian by these, without a change of sign.
PAIR, SEPARATOR = "gamma.", "."


@dataclass(frozen=True, kw_only=True)
class Greek:
    """``sign`` times the derivative by the columns of one feature.

    Args:
        feature: whose columns they are.
        unit: of the derivative.
    """

    name: str
    feature: str
    columns: slice
    sign: float
    unit: str

    @property
    def size(self) -> int:
        """Number of columns; 1 is exported as [n], more as [n, size]."""
        return int(self.columns.stop - self.columns.start)

    def of(self, delta: Array) -> Array:
        """Its columns. Shape: batch feature -> batch [column], without an axis of size 1."""
        return _without_ones(self.sign * delta[:, self.columns])


@dataclass(frozen=True, kw_only=True)
class Cross:
    """``sign`` times the second derivatives by the columns of two features.

    Args:
        features: whose rows and whose columns of the Hessian they are.
        unit: of the derivative.
    """

    name: str
    features: tuple[str, str]
    rows: slice
    columns: slice
    sign: float
    unit: str

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of rows and columns; of 1 there is no axis."""
        return int(self.rows.stop - self.rows.start), int(self.columns.stop - self.columns.start)

    @property
    def size(self) -> int:
        """Numbers of a row of an answer."""
        return self.sizes[0] * self.sizes[1]

    def of(self, gamma: Array) -> Array:
        """Its block. Shape: batch feature feature -> batch [row] [column], without axes of size 1."""
        return _without_ones(self.sign * gamma[:, self.rows, self.columns])


def greeks(box: Box) -> tuple[Greek, ...]:
    """The named derivatives of a surrogate on these features; theta is the negative of that by the maturity.

    Features of imported labels may have other names than `PARAMETERS`, and no such output.
    """
    named = ((part, PARAMETERS[part.name].greek) for part in box.features if part.name in PARAMETERS)
    return tuple(_greek(greek, part, box) for part, greek in named if greek is not None)


def vega(box: Box) -> Greek | None:
    """The derivative by whatever is the volatility of a Box; None where nothing is."""
    part = _first(VOLATILITIES, box)
    return None if part is None else _greek(VEGA, part, box)


def crosses(box: Box) -> tuple[Cross, ...]:
    """The second derivatives with names of their own that a surrogate on these features has."""
    return tuple(found for name in CROSS if (found := named_cross(name, box)) is not None)


def named_cross(name: str, box: Box) -> Cross | None:
    """The second derivative of that name; None where a feature that it is by is missing."""
    pair = [_first(names, box) for names in CROSS[name]]
    one, other = pair
    if one is None or other is None:
        return None
    return _cross(name, one, other, box, sign=PARAMETERS[one.name].sign * PARAMETERS[other.name].sign)


def pair_cross(name: str, box: Box) -> Cross | None:
    """The block that ``gamma.spot.strike`` names; None where that names no two features of the Box."""
    features = {feature.name: feature for feature in box.features}
    one, separator, other = name.removeprefix(PAIR).partition(SEPARATOR)
    if not name.startswith(PAIR) or not separator or one not in features or other not in features:
        return None
    return _cross(name, features[one], features[other], box, sign=1.0)


def missing(name: str, box: Box, possible: Collection[str] | None = None) -> str:
    """Why a surrogate on these features has no derivative of a known name, and what to build instead.

    Args:
        possible: what may be a feature of the same problem, where that is known.
    """
    parameters = tuple(feature for feature, parameter in PARAMETERS.items() if parameter.greek == name)
    wanted = CROSS.get(name, (VOLATILITIES if name == VEGA else parameters,))
    lacking = [names for names in dict.fromkeys(wanted) if _first(names, box) is None]
    by = " and ".join(" or ".join(names) for names in lacking)
    have = ", ".join(feature.name for feature in box.features)
    sentence = f"{name} is a derivative by {by}, which is no feature of this model: it has {have}"
    choices = [[one for one in names if possible is None or one in possible] for names in lacking]
    if not all(choices):
        return f"{sentence}, and no other of its problem is one"
    return f"{sentence}; build it with {' and '.join(names[0] for names in choices)} among problem.features"


def _first(names: tuple[str, ...], box: Box) -> Feature | None:
    features = {feature.name: feature for feature in box.features}
    return next((features[name] for name in names if name in features), None)


def _greek(name: str, part: Feature, box: Box) -> Greek:
    return Greek(
        name=name,
        feature=part.name,
        columns=box.columns(part.name),
        sign=PARAMETERS[part.name].sign,
        unit=f"currency per {_one(part)}",
    )


def _without_ones(block: Array) -> Array:
    shape = (len(block), *(size for size in block.shape[1:] if size > 1))
    return np.ascontiguousarray(block + 0.0).reshape(shape)  # no -0.0


def _cross(name: str, one: Feature, other: Feature, box: Box, *, sign: float) -> Cross:
    return Cross(
        name=name,
        features=(one.name, other.name),
        rows=box.columns(one.name),
        columns=box.columns(other.name),
        sign=sign,
        unit=_squared(one) if one == other else f"currency per {_one(one)} per {_one(other)}",
    )


def _squared(part: Feature) -> str:
    return f"currency per {_one(part)} squared"


def _one(part: Feature) -> str:
    """What a derivative is per: a unit that has a name, or 1.00 of the feature."""
    if part.unit == "years":
        return "year"
    return f"1.00 of {part.name}" if part.unit == "1" or "/" in part.unit else part.unit
