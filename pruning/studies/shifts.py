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
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_range
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.variations import with_volatilities
from pricing.types import Array

NOMINAL = "nominal"
# Of the way to correlations of 1: there all assets have one driver and the matrix is singular.
LARGEST_SHARE = 0.999


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


class Correlation(Spec, frozen=True, kw_only=True, tag_field="kind", tag="correlation"):
    """A reference whose correlations are moved a ``share`` of their way to 1: rho + share (1 - rho).

    The matrix stays positive definite short of a share of 1.
    """

    share: float

    def __post_init__(self) -> None:
        require_range("share", self.share, 0.0, LARGEST_SHARE)

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"correlation {self.share:g} to 1"


Shift = InputNoise | Corner | Faces | Narrowed | Volatility | Maturity | Correlation

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
    Correlation(share=0.1),
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

    Raises:
        InvalidSpec: the problem does not allow a shift.
    """
    points = problem.box.from_uniforms(uniforms)
    nominal = Domain(name=NOMINAL, problem=problem, shown=points, asked=points)
    return (nominal, *(_shifted(problem, shift, uniforms, noise) for shift in shifts))


def default_shifts(problem: PricingProblem) -> tuple[Shift, ...]:
    """Those of DEFAULT_SHIFTS that the problem allows."""
    return tuple(shift for shift in DEFAULT_SHIFTS if _allows(problem, shift))


def shifted_problem(problem: PricingProblem, shift: Shift) -> PricingProblem:
    """The question that is asked: of another market, or the same.

    Raises:
        InvalidSpec: the network is told of that market, which is a feature of the problem, or there is none such.
    """
    match shift:
        case Volatility(factor=factor):
            _require_untold(problem, shift, "volatility")
            return replace(problem, process=with_volatilities(problem.process, factor))
        case Maturity(factor=factor):
            _require_untold(problem, shift, "maturity")
            return replace(problem, maturity=factor * problem.maturity)
        case Correlation(share=share):
            if problem.process.assets == 1:
                raise InvalidSpec(f"{shift.name!r} needs several assets, got a process of one; leave the shift out")
            _require_untold(problem, shift, "correlation", "loading")
            return replace(problem, process=_nearer_one(problem.process, share))
        case InputNoise() | Corner() | Faces() | Narrowed():
            return problem
        case _:
            assert_never(shift)


def _allows(problem: PricingProblem, shift: Shift) -> bool:
    try:
        shifted_problem(problem, shift)
    except InvalidSpec:
        return False
    return True


def _require_untold(problem: PricingProblem, shift: Volatility | Maturity | Correlation, *names: str) -> None:
    """Raise InvalidSpec where one of the parameters that a shift moves is a feature."""
    for feature in problem.features:
        if feature.name in names:
            raise InvalidSpec(
                f"{shift.name!r} has nothing to move, because {feature.name} is a feature of this problem and its Box "
                "says how far it goes; judge a corner of the Box, or leave the shift out"
            )


def _shifted(problem: PricingProblem, shift: Shift, uniforms: Array, noise: Array) -> Domain:
    box = problem.box
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
        case Volatility() | Maturity() | Correlation():
            pass
        case _:
            assert_never(shift)
    return Domain(name=shift.name, problem=shifted_problem(problem, shift), shown=shown, asked=asked)


def _nearer_one(process: Process, share: float) -> Process:
    """The process with all correlations moved towards 1."""
    rho = np.array(process.correlation)
    return replace(process, correlation=tuple(map(tuple, (rho + share * (1.0 - rho)).tolist())))


def _on_faces(box: Box, uniforms: Array) -> Array:
    """Row n with its coordinate n mod d at the nearer bound. Shape: batch feature -> batch feature."""
    rows = np.arange(len(uniforms))
    moved = uniforms.copy()
    moved[rows, rows % box.dimension] = np.rint(moved[rows, rows % box.dimension])
    return box.from_uniforms(moved)
