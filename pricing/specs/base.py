"""The base of every specification: how plain data becomes one, and the checks that several share.

A spec is a ``msgspec.Struct``: `load` converts plain data strictly (no string passes for a number, no unknown field)
and names the path of whatever is wrong; ``__post_init__`` checks what a type cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from pricing.errors import InvalidSpec
from pricing.specs.conversion import explain
from pricing.specs.plain import require_plain

# The Hessian of this many assets has a million entries a sample.
MAXIMUM_ASSETS = 1_000
# More paths a replicate than this is a typing error rather than a wish.
MAXIMUM_PATHS = 1 << 24
MAXIMUM_SAMPLES = 1 << 22
# The normal equations of this many terms take a few seconds to solve; 7 inputs reach degree 6, 50 inputs degree 2.
MAXIMUM_TERMS = 2048

# Sizes of levels, volatilities, weights and whatever else is multiplied with them, unless they are 0: beyond, products
# of a few of them overflow or vanish. Nothing that is priced in any currency comes near.
LEAST_SIZE, LARGEST_SIZE = 1e-30, 1e15

# Characters of a number in a sentence.
MAXIMUM_SHOWN = 40

SpecType = TypeVar("SpecType")


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every specification: immutable, keyword-only, unknown fields refused."""


def load(kind: type[SpecType], data: object) -> SpecType:
    """Plain data (from JSON or TOML) as a validated specification.

    Raises:
        InvalidSpec: names what is wrong and the path of the field.
    """
    if isinstance(kind, type) and issubclass(kind, Spec):
        require_plain(data)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind, data) from error


def dump(spec: msgspec.Struct) -> dict[str, Any]:
    """A specification as plain data that JSON and `load` take."""
    plain = msgspec.to_builtins(spec)
    assert isinstance(plain, dict)
    return plain


def require_finite(name: str, values: Sequence[float]) -> None:
    """Raise InvalidSpec unless every value is finite and of a size that can be computed with."""
    for i, value in enumerate(values):
        require_number(f"{name}[{i}]", value)


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidSpec unless low <= value <= high and value is finite."""
    if not low <= value <= high or value in (-math.inf, math.inf):  # an integer may be no float at all
        shown = repr(value) if len(repr(value)) < MAXIMUM_SHOWN else f"{repr(value)[:MAXIMUM_SHOWN]}..."
        ends = ", ".join(str(end) if isinstance(end, int) else f"{end:g}" for end in (low, high))
        raise InvalidSpec(f"{name} must be in [{ends}], got {shown}", path=name, bound=[low, high])


def require_power_of_two(name: str, value: int, maximum: int) -> None:
    """Raise InvalidSpec unless value is a power of two from 1 to maximum: Sobol sets are balanced only then."""
    if not 1 <= value <= maximum or value & (value - 1):
        raise InvalidSpec(
            f"{name} must be a power of two from 1 to {maximum}, got {value}", path=name, bound=[1, maximum]
        )


def require_terms(degree: int, inputs: int) -> int:
    """Terms of a polynomial of a total degree; raise InvalidSpec above MAXIMUM_TERMS."""
    terms = math.comb(inputs + degree, degree)
    if terms > MAXIMUM_TERMS:
        raise InvalidSpec(
            f"degree: polynomials of degree {degree} in {inputs} inputs have {terms} terms, at most {MAXIMUM_TERMS} "
            "fit; lower the degree or reduce the inputs",
            path="degree",
            bound=MAXIMUM_TERMS,
        )
    return terms


def require_number(name: str, value: float) -> None:
    """Raise InvalidSpec unless the value is finite and 0 or LEAST_SIZE to LARGEST_SIZE in size."""
    if not math.isfinite(value):
        raise InvalidSpec(f"{name} must be finite, got {value!r}", path=name)
    if value and not LEAST_SIZE <= abs(value) <= LARGEST_SIZE:
        raise InvalidSpec(
            f"{name} must be 0 or {LEAST_SIZE:g} to {LARGEST_SIZE:g} in size, got {value!r}; give another unit",
            path=name,
            bound=[LEAST_SIZE, LARGEST_SIZE],
        )


def require_at_most(name: str, values: Sequence[object], most: int) -> None:
    """Raise InvalidSpec for a list of more entries than ``most``."""
    if len(values) > most:
        raise InvalidSpec(f"{name}: give at most {most}, got {len(values)}", path=name, bound=most)


def require_positive(name: str, values: tuple[float, ...] | list[float], *, unit: str, least: int = 1) -> None:
    """Raise InvalidSpec unless there are ``least`` to MAXIMUM_ASSETS values, finite and >= 0."""
    require_finite(name, values)
    if not least <= len(values) <= MAXIMUM_ASSETS:
        raise InvalidSpec(
            f"{name}: give {least} to {MAXIMUM_ASSETS} of them, got {len(values)}",
            path=name,
            bound=[least, MAXIMUM_ASSETS],
        )
    for i, value in enumerate(values):
        if value < 0.0:
            raise InvalidSpec(f"{name}[{i}] must be >= 0 ({unit}), got {value!r}", path=f"{name}[{i}]", bound=0.0)


def require_length(name: str, values: tuple[float, ...], assets: int) -> None:
    """Raise InvalidSpec unless there is one finite value per asset."""
    require_finite(name, values)
    if len(values) != assets:
        raise InvalidSpec(f"{name}: give {assets}, one per asset, got {len(values)}", path=name, bound=assets)


def require_each(name: str, values: tuple[float, ...], assets: int, *, least: float, most: float) -> None:
    """Raise InvalidSpec unless there is one value in [least, most] per asset."""
    require_length(name, values, assets)
    for i, value in enumerate(values):
        require_range(f"{name}[{i}]", value, least, most)


def require_increasing(name: str, times: list[float], *, strictly: bool = True) -> None:
    """Raise InvalidSpec unless times increase."""
    for earlier, later in pairwise(times):
        if not (earlier < later or (earlier == later and not strictly)):
            raise InvalidSpec(f"{name}: times must increase, got {later!r} after {earlier!r}", path=name)
