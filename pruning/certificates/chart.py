"""The Box in the coordinates that matter to a network: t = P u, where x = middle + half o u and |u| <= 1.

The rows of P are the right singular vectors of the first layers, so that t_1 moves them most. A surrogate of a basket
often reads little but the basket: then t_1 is all that has to be searched, whatever the number of features. Every
linear form is held exactly,

    A x + b = slope t + offset + rho,    |rho| <= residual    for every x in the Box,

because P and slope are the floats they are and the residual, a rounding error if P spans A, is bounded outward. The
image of the Box under P is a zonotope; a sub-box that a linear functional separates from it holds no x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import torch
from torch import Tensor

from pruning.intervals.interval import EPSILON, TINY, Interval, affine, rounding

# Bits below the largest coefficient that slopes and offsets keep: sums of two of them are then exact in float64.
GRID_BITS = 44
# Facets of the zonotope that sub-boxes are tested against: all of them for up to seven features in four coordinates.
FACETS = 64
# Covers the rounding of sums of non-negative terms and of the separation test.
SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class LinearForm:
    """slope t + offset + rho with |rho| <= residual. Shape: slope (out, coordinate), offset and residual (out,)."""

    slope: Tensor
    offset: Tensor
    residual: Tensor

    def __add__(self, other: LinearForm) -> LinearForm:
        """The sum of two forms of one chart, exact."""
        return LinearForm(
            slope=self.slope + other.slope,
            offset=self.offset + other.offset,
            residual=(self.residual + other.residual) * (1.0 + SLACK),
        )

    def over(self, t: Interval) -> Interval:
        """Its range over sub-boxes. Shape: ... coordinate -> ... out."""
        return affine(self.slope, t, self.offset).widen(self.residual * (1.0 + SLACK))


@dataclass(frozen=True, kw_only=True)
class BoxChart:
    """Coordinates t = P u of a Box, u = (x - middle) / half.

    Shape: middle and half (input,), directions P (coordinate, input), facets (facet, coordinate).
    """

    box: Interval
    middle: Tensor
    half: Tensor
    directions: Tensor
    facets: Tensor
    step: float

    @property
    def whole(self) -> Interval:
        """A box around the zonotope. Shape: (coordinate,)."""
        radius = self.directions.abs().sum(dim=1) * (1.0 + SLACK)
        return Interval(-radius, radius)

    def coordinates(self, x: Tensor) -> Tensor:
        """t of points, to rounding. Shape: batch input -> batch coordinate."""
        return ((x - self.middle) / self.half) @ self.directions.T

    def point(self, t: Tensor) -> Tensor:
        """A point of the Box near t. Shape: batch coordinate -> batch input."""
        x = self.middle + self.half * (t @ self.directions)
        return torch.minimum(torch.maximum(x, self.box.lower), self.box.upper)

    def form(self, weight: Tensor, bias: Tensor, slack: Tensor | None = None) -> LinearForm:
        """The linear form A x + b; ``slack`` bounds the error of b. Shape: out input, out ->."""
        scaled = weight * self.half
        slope, centre = self._rounded(scaled @ self.directions.T), weight @ self.middle + bias
        offset = self._rounded(centre)
        missed = (scaled - slope @ self.directions).abs() + EPSILON * scaled.abs()
        missed = missed + rounding(self.directions.T, slope.abs())
        residual = missed.sum(dim=1) + (centre - offset).abs() + rounding(weight, self.middle.abs(), bias)
        residual = residual if slack is None else residual + slack
        return LinearForm(slope=slope, offset=offset, residual=residual * (1.0 + SLACK) + TINY)

    def meets(self, t: Interval) -> Tensor:
        """False only where a sub-box holds no point of the Box. Shape: batch coordinate -> batch."""
        reach = (self.facets @ self.directions).abs().sum(dim=1)
        distance = (t.middle @ self.facets.T).abs() - t.radius @ self.facets.abs().T
        return (distance <= reach * (1.0 + SLACK) + SLACK).all(dim=1)

    def _rounded(self, numbers: Tensor) -> Tensor:
        return torch.round(numbers / self.step) * self.step


def chart(box: Interval, weight: Tensor, bias: Tensor, *, turned: bool = True) -> BoxChart:
    """The chart in which the rows of ``weight`` vary as little as they can after the first coordinates.

    With ``turned = False`` the coordinates are the features: better where the rows have no direction in common,
    because a box around a turned cube is much larger than the cube.

    Shape: box (input,), weight (row, input), bias (row,).
    """
    middle, half = box.middle, box.radius
    scaled = weight * half
    directions = torch.linalg.svd(scaled, full_matrices=False).Vh if turned else torch.eye(len(half), dtype=half.dtype)
    largest = float(((weight * half).abs().sum(dim=1) + weight.abs() @ middle.abs() + bias.abs()).max())
    return BoxChart(
        box=box,
        middle=middle,
        half=half,
        directions=directions,
        facets=_facets(directions) if turned else directions,
        step=2.0 ** (_exponent(largest) - GRID_BITS),
    )


def _exponent(number: float) -> int:
    """The least e with number < 2^e."""
    return int(torch.frexp(torch.tensor(number, dtype=torch.float64)).exponent)


def _facets(directions: Tensor) -> Tensor:
    """Normals of the zonotope's facets: each is orthogonal to all but one coordinate's worth of generators."""
    count, inputs = directions.shape
    if count == 1:
        return directions.new_ones(1, 1)
    chosen: Sequence[tuple[int, ...]] = list(islice(combinations(range(inputs), count - 1), FACETS))
    spans = torch.stack([directions[:, list(columns)].T for columns in chosen])
    normals: Tensor = torch.linalg.svd(spans, full_matrices=True).Vh[:, -1]
    return normals
