"""What a sweep found, as its report says it. Torch-free."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.sweeps.record import Preserved, Scores
from app.sweeps.spec import Kind

Size = Literal["parameters", "onnx_nodes"]
SIZES: tuple[Size, ...] = ("parameters", "onnx_nodes")
Missing = Literal["skipped", "failed"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a row of a sweep's report is about."""

    label: str


class Named(Row, frozen=True, kw_only=True):
    """A case by what was asked for."""

    kind: Kind
    method: str | None
    target: str
    seed: int


class MissingCase(Named, frozen=True, kw_only=True):
    """A case without a network, and why."""

    status: Missing
    sentence: str


class MeasuredCase(Named, frozen=True, kw_only=True):
    """A case with its record (`app.sweeps.record.Measured`), and what it is beside the dense network of its seed.

    Args:
        ratio: the share of the dense network's parameters that is gone.
        latency_seconds: median of one call, by rows.
        relative_latency: the same as a share of the dense network's.
    """

    status: Literal["done"] = "done"
    sentence: None = None
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
    ratio: float
    latency_seconds: dict[str, float]
    relative_latency: dict[str, float]
    preserved: dict[str, Preserved] | UnsetType = UNSET


class FrontierRow(Row, frozen=True, kw_only=True):
    """Worst of the seeds by method and target, the claim that a user can rely on; latencies and seconds are medians.

    Args:
        latency: of 1,024 rows as a share of the dense network's.
        seconds: to make one.
        pareto: the axes on which nothing smaller is as good.
    """

    kind: Kind
    target: str
    parameters: int
    onnx_nodes: int
    value_r2: float
    delta_r2: float
    gamma_r2: float
    value_rmse: float
    delta_rmse: float
    gamma_rmse: float
    latency_seconds: dict[str, float]
    relative_latency: dict[str, float]
    latency: float
    seconds: float
    pareto: tuple[str, ...] = ()

    def along(self, axis: str) -> float:
        """How large it is on an axis."""
        return {"parameters": self.parameters, "onnx_nodes": self.onnx_nodes, "latency": self.latency}[axis]


class SmallNetwork(Row, frozen=True, kw_only=True):
    """A row of the frontier in short."""

    target: str
    parameters: int
    onnx_nodes: int
    gamma_r2: float


class Smallest(msgspec.Struct, frozen=True, kw_only=True, rename={"overall": "all"}):
    """The smallest network of all, and of the pruned ones; None where no network is good enough."""

    overall: SmallNetwork | None
    pruned: SmallNetwork | None


class SmallestBySize(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest networks, by each size, whose gammas have at least that R2 on every seed."""

    gamma_r2: float
    seeds: str = "worst of all"
    parameters: Smallest
    onnx_nodes: Smallest

    def by(self, size: Size) -> Smallest:
        """By one size."""
        return self.parameters if size == "parameters" else self.onnx_nodes


class PotentialRow(Row, frozen=True, kw_only=True):
    """Prune potential of a method on a domain, in parameters removed: the mean over the seeds."""

    domain: str
    greek: str
    delta: float
    potential: float


class ExcessRow(Row, frozen=True, kw_only=True):
    """Slope of e(pruned) - e(dense) on the prune ratio, with its interval, over all seeds and targets."""

    domain: str
    greek: str
    slope: float
    low: float
    high: float


class PreservedRow(Row, frozen=True, kw_only=True):
    """How alike the networks of a method and target are to the dense ones on a domain: the least of the seeds.

    Args:
        r2: by output, of the network's answers as those of the dense one.
        agreement: by output, share of the points at which both agree.
        overlap: share of the informative features of a point that both have in common.
    """

    target: str
    domain: str
    r2: dict[str, float]
    agreement: dict[str, float]
    overlap: float


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where latencies were measured."""

    architecture: str
    processors: int | None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Points of a domain, and what they are judged by.

    Args:
        reference: its kind (`pricing.references.methods.Kind`); None where no network was judged.
    """

    samples: int
    reference: str | None


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a sweep found.

    Args:
        command: what was run, as somebody would type it.
        spec: the specification as plain data.
    """

    command: str
    name: str
    seeds: tuple[int, ...]
    versions: dict[str, str]
    machine: Machine
    evaluation: Judgement
    spec: dict[str, Any]
    smallest: SmallestBySize
    frontier: tuple[FrontierRow, ...]
    potential: tuple[PotentialRow, ...]
    excess: tuple[ExcessRow, ...]
    preserved: tuple[PreservedRow, ...]
    cases: tuple[MeasuredCase | MissingCase, ...]
