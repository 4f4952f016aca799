"""Where a build finds labels that somebody else's pricer made. Torch-free."""

from __future__ import annotations

import re

from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_range

IDENTIFIER = re.compile(r"[0-9a-f]{64}")


class DatasetSource(Spec, frozen=True, kw_only=True):
    """A stored dataset, and the Box of the surrogate that learns from it.

    Args:
        id: its content hash, as `sobolite dataset import` and POST /v1/datasets tell it.
        features: the Box: names, units and bounds, together as many coordinates as the dataset has columns. By default
            what the import inferred, the least and largest number of each column.
        held_out: share of the rows that the surrogate is judged on and never sees.
    """

    id: str
    features: tuple[Feature, ...] = ()
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if not IDENTIFIER.fullmatch(self.id):
            raise InvalidSpec(
                f"id must be a dataset's 64 hexadecimal digits (`sobolite dataset list`), got {self.id[:80]!r}",
                path="id",
            )
        require_range("held_out", self.held_out, 0.01, 0.5)
        if self.features:
            _ = self.box

    @property
    def box(self) -> Box:
        """The domain of the surrogate.

        Raises:
            InvalidSpec: not given, and not yet taken from the dataset (`app.datasets.store.with_features`).
        """
        return Box(features=self.features)
