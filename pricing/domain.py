"""Box: the named features of a surrogate with their bounds and units. Torch-free: serving imports it."""

from __future__ import annotations

import math
from functools import cached_property

import msgspec
import numpy as np

from pricing.errors import InvalidSpec, OutOfDomain
from pricing.types import Array, BoolArray

# The unit of a feature of which nobody has said more.
UNKNOWN = "unit"
# Characters of a name and of a unit; coordinates of a feature, and features.
MAXIMUM_NAME, MAXIMUM_UNIT, MAXIMUM_COORDINATES = 64, 64, 1_000


class Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One named block of raw coordinates, e.g. the spots of seven assets.

    Args:
        name: of the parameter.
        lower: inclusive bounds, one per coordinate.
        upper: inclusive bounds, one per coordinate, above the lower ones.
        unit: of the bounds; where it is not given a `PricingProblem` knows it by the parameter's name.
    """

    name: str
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    unit: str = UNKNOWN

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or len(self.name) > MAXIMUM_NAME:
            raise InvalidSpec(
                f"feature name {self.name[: MAXIMUM_NAME + 1]!r} must be an identifier of at most {MAXIMUM_NAME} "
                "characters, such as 'spot'",
                path="name",
            )
        if not self.unit.isprintable() or len(self.unit) > MAXIMUM_UNIT:
            raise InvalidSpec(
                f"unit must be at most {MAXIMUM_UNIT} printable characters, got {self.unit[: MAXIMUM_UNIT + 1]!r}",
                path="unit",
                bound=MAXIMUM_UNIT,
            )
        if len(self.lower) > MAXIMUM_COORDINATES:
            raise InvalidSpec(
                f"feature {self.name}: give at most {MAXIMUM_COORDINATES} coordinates, got {len(self.lower)}",
                path="lower",
                bound=MAXIMUM_COORDINATES,
            )
        if not self.lower or len(self.lower) != len(self.upper):
            raise InvalidSpec(
                f"feature {self.name}: lower has {len(self.lower)} bounds and upper {len(self.upper)}; "
                "give both, one per coordinate",
                path="upper",
            )
        for i, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InvalidSpec(
                    f"feature {self.name}[{i}]: need finite lower < upper, got {low!r} and {high!r}",
                    path=f"lower[{i}]",
                    bound=high,
                )

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.lower)


class Box(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The domain of a surrogate: the Cartesian product of its features' bounds, coordinates in feature order."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names:
            raise InvalidSpec("features: give at least one feature", path="features")
        if len(names) > MAXIMUM_COORDINATES:
            raise InvalidSpec(
                f"features: give at most {MAXIMUM_COORDINATES}, got {len(names)}",
                path="features",
                bound=MAXIMUM_COORDINATES,
            )
        if len(set(names)) < len(names):
            raise InvalidSpec(f"features: names must differ, got {names}", path="features")

    @cached_property
    def lower(self) -> Array:
        """Lower bounds. Shape: feature."""
        return np.array([bound for feature in self.features for bound in feature.lower], dtype=np.float64)

    @cached_property
    def upper(self) -> Array:
        """Upper bounds. Shape: feature."""
        return np.array([bound for feature in self.features for bound in feature.upper], dtype=np.float64)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """One label per coordinate: ``spot[0]``, ``spot[1]``, ..., or the bare name of a single coordinate."""
        return tuple(
            feature.name if feature.size == 1 else f"{feature.name}[{i}]"
            for feature in self.features
            for i in range(feature.size)
        )

    @property
    def dimension(self) -> int:
        """Number of coordinates of all features together."""
        return len(self.lower)

    def columns(self, name: str) -> slice:
        """Columns of the feature ``name`` in a features matrix."""
        start = 0
        for feature in self.features:
            if feature.name == name:
                return slice(start, start + feature.size)
            start += feature.size
        raise InvalidSpec(f"no feature {name!r}; the features are {[feature.name for feature in self.features]}")

    def contains(self, features: Array) -> BoolArray:
        """Which rows lie inside, bounds included. Shape: batch feature -> batch."""
        inside = (features >= self.lower) & (features <= self.upper)
        return np.asarray(inside.all(axis=1))

    def distance(self, features: Array) -> Array:
        """Largest excess over a bound in widths of its coordinate, 0 inside. Shape: batch feature -> batch."""
        excess = np.maximum(self.lower - features, features - self.upper) / (self.upper - self.lower)
        result: Array = np.maximum(excess, 0.0).max(axis=1)
        return result

    def check(self, features: Array) -> None:
        """Raise OutOfDomain for the first row outside, naming row, feature, bound and value. Shape: batch feature."""
        inside = self.contains(features)
        if inside.all():
            return
        row = int(np.argmin(inside))
        below = features[row] < self.lower
        column = int(np.argmax(below | (features[row] > self.upper)))
        word, bound = ("lower", self.lower[column]) if below[column] else ("upper", self.upper[column])
        raise OutOfDomain(
            f"row {row}: {self.labels[column]} = {features[row, column]:.10g} is outside its {word} bound "
            f"{bound:.10g}; stay inside the Box or ask for outside='flag'",
            path=f"inputs[{row}][{column}]",
            feature=self.labels[column],
            bound=float(bound),
            value=float(features[row, column]),
        )

    def require_shape(self, shape: tuple[int, ...]) -> None:
        """Raise InvalidSpec unless ``shape`` is (samples, dimension) with at least one sample."""
        if len(shape) != 2 or shape[0] == 0 or shape[1] != self.dimension:
            raise InvalidSpec(f"features must have the shape (samples, {self.dimension}), got {tuple(shape)}")

    def from_uniforms(self, uniforms: Array) -> Array:
        """Affine image of uniforms on [0, 1) in the Box. Shape: batch feature -> batch feature."""
        return self.lower + (self.upper - self.lower) * uniforms
