"""What making a version again has shown, as it is printed. Torch-free."""

from __future__ import annotations

from typing import Literal

import msgspec

Step = Literal["specification", "labels", "training", "training or pruning", "pruning", "export"]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the version, and the same of what was made here; None where it is not known."""

    then: str | None
    now: str | None


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """The largest difference of an output at points of the Box, in its unit and as a share of its largest entry."""

    largest: float
    share: float | None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What making a version again has shown.

    Args:
        same: whether every graph has the same bytes.
        diverged: the first step whose result is another; None where none is.
        bytes: sha256 of each graph.
        labels: sha256 of the labels.
        differences: by output, where bytes differ.
        environment: by fact, those that differ.
        notes: what could not be compared, in sentences.
    """

    model: str
    version: int
    same: bool
    diverged: Step | None
    bytes: dict[str, Pair]
    labels: Pair
    differences: dict[str, Apart]
    environment: dict[str, Pair]
    notes: tuple[str, ...]
