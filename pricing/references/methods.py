"""The ways in which a problem is referenced, each with what it needs.

All tell their kind, how many points take about a minute on one thread (None where that is more than anybody asks for),
what value and gradient may be off beside the other errors, and which second derivatives they know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from pricing.references.differences import Grid
from pricing.simulation.scenario import Scenario
from pricing.specs.estimator import Estimator
from pricing.specs.problem import PricingProblem

FormulaKind = Literal["closed form", "fourier", "quadrature"]
GridKind = Literal["quadrature", "pde", "plane quadrature"]
ResimulatedKind = Literal[
    "resimulated (same simulator, other estimator, seed and steps)",
    "resimulated (same simulator and estimator, other seed and steps)",
]
Kind = FormulaKind | GridKind | Literal["replicates", "lower bound and dual"] | ResimulatedKind
# Of which pairs of features second derivatives are known.
Known = Literal["all", "spots", "nothing"]
# Value at a scenario, and the same given uniforms. Shape: -> batch; path coordinate -> batch.
Formula = Callable[[Scenario], Tensor]
Sampled = Callable[[Scenario, Tensor], Tensor]

# Errors that the tests hold the deterministic kinds to. Of closed forms a share of the value itself; of x dV/dx, and of
# S^2 d2V/dS2, a share of itself, the value and all S dV/dS together. Of the others a share of the forward.
RELATIVE_ERRORS: Mapping[FormulaKind | GridKind, float] = {
    "closed form": 1e-11,
    "fourier": 1e-9,
    "quadrature": 1e-8,
    "pde": 1e-6,
    "plane quadrature": 1e-4,
}

# The same of closed forms of two assets, integrals over one of them, of values that are never less than a share of the
# spots; of S^2 d2V/dS2 a thousand times that, where one asset hardly moves and the other tells all but nothing of it.
TWO_ASSETS, LEAST_SHARE = 1e-10, 1e-15


@dataclass(frozen=True, kw_only=True)
class Differentiated:
    """A formula that is differentiated, so many rows at once.

    Args:
        assets: 2 of a closed form that is an integral over one of two assets.
    """

    kind: FormulaKind
    formula: Formula
    rows: int
    points: int | None
    assets: int = 1
    known: ClassVar[Known] = "all"

    @property
    def relative_error(self) -> float:
        """Of value and gradient, as `RELATIVE_ERRORS` has it, or as `TWO_ASSETS` has."""
        return TWO_ASSETS if self.kind == "closed form" and self.assets == 2 else RELATIVE_ERRORS[self.kind]


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A solution on a grid of spots, or on two (`Refined`), by differences in the other features."""

    kind: GridKind
    grid: Grid
    points: int | None
    known: ClassVar[Known] = "all"

    @property
    def relative_error(self) -> float:
        """Of value and gradient, as `RELATIVE_ERRORS` has it, beside what the differences miss."""
        return RELATIVE_ERRORS[self.kind]


@dataclass(frozen=True, kw_only=True)
class Bent:
    """A smoothed value for the second derivatives, on so many paths, and the share of the largest that these miss."""

    sampled: Sampled
    paths: int
    bias: float


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """A value given uniforms of so many paths and coordinates, on replicates that are differentiated.

    Args:
        bent: what the Hessian is taken from where the value has kinks.
        coarse: the same with half the time steps, where it has any.
    """

    sampled: Sampled
    bent: Bent | None = None
    dimension: int
    paths: int
    points: int
    relative_error: float
    known: Known
    kind: Kind = "replicates"
    coarse: Sampled | None = None


@dataclass(frozen=True, kw_only=True)
class TwoSided:
    """A lower bound, whose error at every point is how far its dual lies above."""

    points: int
    known: Known
    kind: ClassVar[Kind] = "lower bound and dual"
    relative_error: ClassVar[float] = 0.0


@dataclass(frozen=True, kw_only=True)
class Resimulated:
    """The package's own simulation again.

    Args:
        problem: on a finer grid, if it has one.
        first: what estimates its value and gradient.
        second: what estimates its Hessian, if anything does.
    """

    kind: ResimulatedKind
    problem: PricingProblem
    first: Estimator
    second: Estimator | None
    points: int
    relative_error: float

    @property
    def known(self) -> Known:
        """The whole Hessian, or nothing of it."""
        return "nothing" if self.second is None else "all"


Method = Differentiated | Solved | Replicated | TwoSided | Resimulated
