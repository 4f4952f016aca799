"""How good a surrogate has to be before it is published. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import UNSET, UnsetType

from pricing.specs.base import Spec, require_range

# Least R2 that asks for nothing: a surrogate that is wrong by any amount has a larger one.
ANYTHING = -1e30
# And no surrogate, nor its reference, has none at all.
MOST = 1.0 - 1e-12
MOST_POINTS = 1 << 20
# Up to so many features whole Hessians are learnt to three digits more than their labels cost; beyond it to two.
FEW_FEATURES = 3

AccuracyLevel = Literal["normal", "high"]


class Accuracy(Spec, frozen=True, kw_only=True):
    """Least R2 of what is published, each where it is left out as "normal" asks.

    Args:
        value: of values.
        delta: of deltas by the spots, the mean over assets.
        gamma: of whole Hessians by the spots.
        worst_bucket: of gamma in the worst bucket of moneyness, distance to a barrier or maturity.
        points: that must say so.
    """

    value: float | UnsetType = UNSET
    delta: float | UnsetType = UNSET
    gamma: float | UnsetType = UNSET
    worst_bucket: float | UnsetType = UNSET
    points: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name in ("value", "delta", "gamma", "worst_bucket"):
            if (least := getattr(self, name)) is not UNSET:
                require_range(name, least, ANYTHING, MOST)
        if self.points is not UNSET:
            require_range("points", self.points, 1, MOST_POINTS)


class Requirement(NamedTuple):
    """`Accuracy` with every number."""

    value: float
    delta: float
    gamma: float
    worst_bucket: float
    points: int


# By level: of up to `FEW_FEATURES`, and of more.
LEVELS: Mapping[AccuracyLevel, tuple[Requirement, Requirement]] = {
    "normal": (Requirement(0.9999, 0.999, 0.999, 0.99, 64), Requirement(0.9999, 0.999, 0.99, 0.9, 64)),
    "high": (Requirement(0.99999, 0.9999, 0.9999, 0.999, 512), Requirement(0.99999, 0.9999, 0.999, 0.99, 512)),
}


def required(accuracy: AccuracyLevel | Accuracy | UnsetType, *, features: int) -> Requirement:
    """The numbers that a specification asks for, of a Box of so many features.

    >>> required("normal", features=7).gamma, required(Accuracy(gamma=0.5), features=1).gamma
    (0.99, 0.5)
    """
    level = accuracy if isinstance(accuracy, str) else "normal"
    numbers = LEVELS[level][features > FEW_FEATURES]
    if not isinstance(accuracy, Accuracy):
        return numbers
    given = {name: getattr(accuracy, name) for name in Requirement._fields}
    return numbers._replace(**{name: number for name, number in given.items() if number is not UNSET})
