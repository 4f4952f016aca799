"""What is answered beside the outputs of a graph: second derivatives by name, and implied volatilities. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from app.errors import InvalidRequest
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.implied.volatility import UNITS, implied_law, implied_volatility, why_not_implied
from pricing.specs.base import load
from pricing.specs.parameters import GREEKS
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.greeks import CROSS, PAIR, VEGA, Cross, Greek, crosses, missing, pair_cross, vega

IMPLIED = "implied_volatility"
# Names of what may be asked for beside the outputs of a graph; and blocks of the Hessian by the names of two features.
NAMES = (*CROSS, IMPLIED)
# The keys of an answer beside the implied volatility, and numbers as long as a reason.
ERROR, REASON, REASON_NUMBERS = f"{IMPLIED}_error", f"{IMPLIED}_reason", 2
# An array of numbers, NaN where there is none, or texts. Shape: batch, then what the output has.
Column = Array | Sequence[str | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Derived:
    """An output that is made of one of the graph's.

    Args:
        source: that output.
        labels: of the numbers that it has a row, where those are several.
        keys: what an answer calls its parts, by the name that it is asked by first.
        make: its parts by key, of the source and the features.
        partial: whether a row may have none; else numbers are finite.
    """

    name: str
    source: str
    labels: tuple[str, ...]
    unit: str
    keys: tuple[str, ...]
    size: int
    make: Callable[[Array, Array], Mapping[str, Column]]
    partial: bool = False


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a version answers beside the outputs of its graph.

    Args:
        outputs: those of the graph.
        problem: what is priced; None where nobody here knows.
        unknown: why not.
        value_error: root mean square error of the value; None where nothing has judged it.
    """

    box: Box
    outputs: tuple[str, ...]
    problem: PricingProblem | None = None
    unknown: str | None = None
    value_error: float | None = None

    @cached_property
    def units(self) -> dict[str, str]:
        """The names with the unit of each; blocks by two features are not listed."""
        greeks: list[Greek | Cross] = [*crosses(self.box)]
        if VEGA not in self.outputs and (found := vega(self.box)) is not None:
            greeks.insert(0, found)
        units = {greek.name: greek.unit for greek in greeks if greek.name not in self.outputs}
        if self.problem is not None and self.no_implied is None:
            units[IMPLIED] = UNITS[implied_law(self.problem)]
        return units

    @cached_property
    def no_implied(self) -> str | None:
        """Why there is no implied volatility; None where there is."""
        return self.unknown if self.problem is None else why_not_implied(self.problem)

    @property
    def listed(self) -> str:
        """All that may be asked for, in words."""
        return f"{', '.join((*self.outputs, *self.units))} and {PAIR}FEATURE.FEATURE"

    def find(self, name: str) -> Derived:
        """The output of a name that the graph does not have.

        Raises:
            InvalidRequest: the model has none of that name, with the reason.
        """
        if name == IMPLIED and self.problem is not None and self.no_implied is None:
            return _implied(self.problem, self.value_error)
        if name in self.units and name == VEGA:
            greek = vega(self.box)
            assert greek is not None
            return _greek(greek, self.box)
        cross = pair_cross(name, self.box) or next((one for one in crosses(self.box) if one.name == name), None)
        if cross is not None:
            return _cross(cross, self.box)
        raise InvalidRequest(f"outputs: {self._why(name)}", path="outputs")

    def _why(self, name: str) -> str:
        if name == IMPLIED:
            return f"{IMPLIED}: {self.no_implied}; choose from {self.listed}"
        if name in GREEKS or name in CROSS:
            possible = None if self.problem is None else self.problem.sizes
            return f"{missing(name, self.box, possible)}. Choose from {self.listed}"
        return f"choose from {self.listed}, got {name[:80]!r}"


def read_further(manifest: Mapping[str, Any], box: Box, outputs: Sequence[str]) -> Further:
    """What a manifest in plain data says of it."""
    plain = manifest.get("problem") or manifest.get("provenance", {}).get("build", {}).get("problem")
    problem, unknown = None, "the labels were imported, and nobody here knows what they price"
    if plain is not None:
        try:
            problem = load(PricingProblem, plain)
        except InvalidSpec as error:  # of another release, whose graph answers all the same
            unknown = f"this release does not know what the model prices ({error})"
    missed = manifest.get("accuracy", {}).get("value", {}).get("rmse")
    return Further(box=box, outputs=tuple(outputs), problem=problem, unknown=unknown, value_error=missed)


def _greek(greek: Greek, box: Box) -> Derived:
    return _taken(greek, source="delta", labels=box.labels[greek.columns])


def _cross(cross: Cross, box: Box) -> Derived:
    pairs = tuple(f"{one} {other}" for one in box.labels[cross.rows] for other in box.labels[cross.columns])
    return _taken(cross, source="gamma", labels=pairs)


def _taken(found: Greek | Cross, *, source: str, labels: tuple[str, ...]) -> Derived:
    """A part of one of the graph's outputs, with its sign."""
    return Derived(
        name=found.name,
        source=source,
        labels=labels,
        unit=found.unit,
        keys=(found.name,),
        size=found.size,
        make=lambda array, _: {found.name: found.of(array)},
    )


def _implied(problem: PricingProblem, value_error: float | None) -> Derived:
    return Derived(
        name=IMPLIED,
        source="value",
        labels=(),
        unit=UNITS[implied_law(problem)],
        keys=(IMPLIED, ERROR, REASON),
        size=2 + REASON_NUMBERS,
        make=partial(_imply, problem, value_error),
        partial=True,
    )


def _imply(problem: PricingProblem, value_error: float | None, value: Array, features: Array) -> dict[str, Column]:
    """The error is that of the value over the row's own vega."""
    implied = implied_volatility(problem, features, value)
    with np.errstate(divide="ignore", over="ignore"):
        error = np.full(len(value), np.nan) if value_error is None else value_error / implied.vega
    error[~np.isfinite(error)] = np.nan
    return {IMPLIED: implied.volatility, ERROR: error, REASON: list(implied.reasons)}
