"""Where a surrogate is judged besides its nominal domain: noisy inputs, parts of the Box, another market. Torch-free.

Every shift moves the same uniforms, so that errors differ by the shift alone and those of more noise come from the same
directions of noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from msgspec.structs import replace

from pricing.domain import Box
from pricing.specs.base import Spec, require_range
from pricing.specs.problem import PricingProblem
from pricing.specs.process import with_volatilities
from pricing.types import Array

NOMINAL = "nominal"


class InputNoise(Spec, frozen=True, kw_only=True, tag_field="kind", tag="noise"):
    """The network sees x + level (upper - lower) u, u uniform in [-1, 1]^d; the reference stays at x.

    Seen points may lie outside the Box by the level: a client's rounding or a stale quote does not stop at its faces.
    """

    level: float

    def __post_init__(self) -> None:
        require_range("level", self.level, 0.0, 1.0)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"noise {self.level:g}"


class Corner(Spec, frozen=True, kw_only=True, tag_field="kind", tag="corner"):
    """The lowest or highest ``share`` of every coordinate: where all features are extreme together."""

    side: Literal["lower", "upper"]
    share: float = 0.2

    def __post_init__(self) -> None:
        require_range("share", self.share, 0.0, 1.0)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"{self.side} corner {self.share:g}"


class Faces(Spec, frozen=True, kw_only=True, tag_field="kind", tag="edges"):
    """Points of the Box with one coordinate, in turn, moved to its nearer bound: the faces."""

    @property
    def name(self) -> str:
        """What the report calls it."""
        return "edges"


class Narrowed(Spec, frozen=True, kw_only=True, tag_field="kind", tag="narrowed"):
    """The middle ``share`` of every coordinate."""

    share: float = 0.5

    def __post_init__(self) -> None:
        require_range("share", self.share, 0.0, 1.0)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"narrowed {self.share:g}"


class Volatility(Spec, frozen=True, kw_only=True, tag_field="kind", tag="volatility"):
    """A reference whose volatilities are ``factor`` times those that were learnt."""

    factor: float

    def __post_init__(self) -> None:
        require_range("factor", self.factor, 0.0, 10.0)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"volatility x{self.factor:g}"


class Maturity(Spec, frozen=True, kw_only=True, tag_field="kind", tag="maturity"):
    """A reference whose maturity is ``factor`` times the one that was learnt."""

    factor: float

    def __post_init__(self) -> None:
        require_range("factor", self.factor, 0.0, 10.0)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"maturity x{self.factor:g}"


Shift = InputNoise | Corner | Faces | Narrowed | Volatility | Maturity

DEFAULT_SHIFTS: tuple[Shift, ...] = (
    InputNoise(level=0.001),
    InputNoise(level=0.01),
    InputNoise(level=0.05),
    Corner(side="lower"),
    Corner(side="upper"),
    Faces(),
    Narrowed(),
    Volatility(factor=1.05),
    Maturity(factor=0.95),
)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One place to judge a network: what it is shown, and the question whose exact answer it is held to.

    Shape: shown, asked batch feature.
    """

    name: str
    problem: PricingProblem
    shown: Array
    asked: Array


def domains(problem: PricingProblem, shifts: Sequence[Shift], *, uniforms: Array, noise: Array) -> tuple[Domain, ...]:
    """The nominal Box and every shift of it.

    Args:
        uniforms: in [0, 1); they place the points. Shape: batch feature.
        noise: in [0, 1); it turns into the directions of input noise. Shape: batch feature.
    """
    points = problem.box.from_uniforms(uniforms)
    nominal = Domain(name=NOMINAL, problem=problem, shown=points, asked=points)
    return (nominal, *(_shifted(problem, shift, uniforms, noise) for shift in shifts))


def _shifted(problem: PricingProblem, shift: Shift, uniforms: Array, noise: Array) -> Domain:
    box, other = problem.box, problem
    asked = shown = box.from_uniforms(uniforms)
    match shift:
        case InputNoise(level=level):
            shown = asked + level * (box.upper - box.lower) * (2.0 * noise - 1.0)
        case Corner(side=side, share=share):
            asked = shown = box.from_uniforms(share * uniforms + (0.0 if side == "lower" else 1.0 - share))
        case Faces():
            asked = shown = _on_faces(box, uniforms)
        case Narrowed(share=share):
            asked = shown = box.from_uniforms(share * uniforms + 0.5 * (1.0 - share))
        case Volatility(factor=factor):
            other = replace(problem, process=with_volatilities(problem.process, factor))
        case Maturity(factor=factor):
            other = replace(problem, maturity=factor * problem.maturity)
        case _:
            assert_never(shift)
    return Domain(name=shift.name, problem=other, shown=shown, asked=asked)


def _on_faces(box: Box, uniforms: Array) -> Array:
    """Row n with its coordinate n mod d at the nearer bound. Shape: batch feature -> batch feature."""
    rows = np.arange(len(uniforms))
    moved = uniforms.copy()
    moved[rows, rows % box.dimension] = np.rint(moved[rows, rows % box.dimension])
    return box.from_uniforms(moved)
