"""What a sweep keeps of a case. Torch-free."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one output on one domain; none where no reference knows it."""

    r2: float | None
    rmse: float | None
    max_error: float | None


class Preserved(msgspec.Struct, frozen=True, kw_only=True):
    """How alike a network is to the dense one on one domain (`pruning.studies.similarity.Similarity`)."""

    r2: dict[str, float]
    agreement: dict[str, float]
    overlap: float


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="done"):
    """The record of a network.

    Args:
        sparsity: share of the weights that were removed; none where nothing is.
        bound: proven on |pruned - dense| over the Box.
        accuracy: by output, in the Box.
        shifted: the same by shifted domain.
        seconds: by what was done.
        preserved: by domain, of those where networks are shown other points than in the Box; not of the dense network.
    """

    sparsity: float | None
    parameters: int
    weights: int
    widths: list[int]
    onnx_nodes: int
    bound: float | None
    accuracy: dict[str, Scores]
    shifted: dict[str, dict[str, Scores]]
    seconds: dict[str, float]
    peak_memory_bytes: int | None
    sentence: None = None
    preserved: dict[str, Preserved] | UnsetType = UNSET


class Skipped(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="skipped"):
    """The record of a combination that cannot be, and why."""

    sentence: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    """What is told of a case that went wrong; it is not kept."""

    sentence: str
