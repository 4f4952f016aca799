"""What the HTTP routes take and give, for validation and for the OpenAPI page."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.inference.derived import NAMES
from app.inference.predictor import GammaForm
from pricing.specs.parameters import GREEKS, OUTPUTS
from surrogate.greeks import PAIR

# What a model may answer by name; and the block of the Hessian by any two of its features, whatever they are called.
OUTPUT_NAMES = (*OUTPUTS, *GREEKS, *NAMES)
BLOCK = r"^gamma\.[^\W\d]\w*\.[^\W\d]\w*$"


def known_output(name: str) -> str:
    """The name of an output that a model may have.

    Raises:
        ValueError: no model has it.
    """
    if name not in OUTPUT_NAMES and not re.fullmatch(BLOCK, name):
        raise ValueError(f"choose from {', '.join(OUTPUT_NAMES)} and {PAIR}FEATURE.FEATURE, got {name!r}")
    return name


# Every output that a model may have.
SCHEMA: dict[str, Any] = {"anyOf": [{"enum": [*OUTPUT_NAMES]}, {"pattern": BLOCK}]}
OutputName = Annotated[str, AfterValidator(known_output), Field(json_schema_extra=SCHEMA)]
Outside = Literal["error", "flag"]

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Rows = Annotated[list[list[Number]], Field(min_length=1)]
Columns = dict[str, Rows | Annotated[list[Number], Field(min_length=1)]]


class PriceRequest(BaseModel):
    """Feature vectors in raw units, and what to answer for them."""

    model_config = ConfigDict(extra="forbid")

    inputs: Rows | Columns = Field(
        description="one row of coordinates per answer, in the order of the model's features; or, by feature name, one "
        "row per answer (a plain number per answer for a feature of one coordinate)",
        examples=[[[100.0, 101.0]], {"spot": [[100.0, 101.0]]}],
    )
    outputs: list[OutputName] = Field(
        ["value", "delta", "gamma"],
        min_length=1,
        description="of those in the model's manifest: value, delta and gamma by all features always, and where it is "
        "a feature the derivative by the volatility as vega, by the rate as rho, by the dividend yield as dividend, by "
        "time, the negative of that by the maturity, as theta, and by any other parameter under its own name; the "
        "second derivatives vanna, volga, charm, veta, vera and dual_gamma, or gamma.A.B by features A and B; and of a "
        "call or put on a basket implied_volatility. docs/greeks.md says signs and units",
    )
    gamma: GammaForm = Field(
        "full", description="the Hessian, its diagonal, or the second derivative along a parallel move of all features"
    )
    outside: Outside = Field(
        "error", description="rows outside the model's Box: refuse the request, or answer with in_domain = false"
    )


class PriceAnswer(BaseModel):
    """Value in currency, delta per 1.00 of each coordinate, gamma per 1.00 squared; only the outputs asked for.

    Any other output has its own name as key: [n], or [n][k] for a feature of k coordinates, per 1.00 of it (vega per
    1.00 of volatility, rho per 1.00 of rate), theta per year that passes. Second derivatives by name are [n][j][k] for
    features of j and k coordinates, without an axis of one.
    """

    model_config = ConfigDict(extra="allow")

    model: str
    version: int
    value: list[float] | None = Field(None, description="[n]")
    delta: list[list[float]] | None = Field(None, description="[n][d]")
    gamma: list[list[list[float]]] | list[list[float]] | list[float] | None = Field(
        None, description="full [n][d][d], diagonal [n][d] or parallel [n]"
    )
    implied_volatility: list[float | None] | None = Field(
        None, description="[n], per sqrt(year); null where the value implies none"
    )
    implied_volatility_error: list[float | None] | None = Field(
        None, description="[n], beside it: the model's root mean square error of the value over the row's own vega"
    )
    implied_volatility_reason: list[str | None] | None = Field(None, description="[n], beside it: why it is null")
    units: dict[str, str] | None = Field(
        None, description="of second derivatives and implied volatility, and of vega by another feature than volatility"
    )
    in_domain: list[bool] = Field(description="[n]; false where the row lies outside the Box")


class ModelSummary(BaseModel):
    """A name in the registry."""

    name: str
    latest: int
    versions: list[int]
    aliases: dict[str, int]


class ModelList(BaseModel):
    """Every name in the registry."""

    models: list[ModelSummary]


class FileEntry(BaseModel):
    """A file of a version."""

    bytes: int
    sha256: str


class VersionManifest(BaseModel):
    """The manifest of a version as published, and what the registry adds to it."""

    model_config = ConfigDict(extra="allow")

    name: str
    version: int
    published: str = Field(description="ISO 8601, UTC")
    submitter: str | None = Field(
        None, description="who ordered it: client and request over HTTP, the user of a command; null where not known"
    )
    environment: dict[str, Any] | None = Field(
        None,
        description="processor, instruction sets, system, Python, threads and commit that made it; null of a version "
        "from before they were kept",
    )
    aliases: list[str] = Field(description="aliases that stand for this version now")
    sha256: str = Field(description="of model.onnx")
    files: dict[str, FileEntry]
    problem: dict[str, Any] | None = Field(
        description="process, payoff, maturity and features; null where labels were imported"
    )
    features: list[dict[str, Any]] = Field(description="the Box: name, unit, lower and upper bounds of each feature")
    outputs: dict[str, str] = Field(description="unit of each output of the graph")
    derived_outputs: dict[str, str] = Field({}, description="unit of each output that a price has besides")
    network: dict[str, Any]
    accuracy: dict[str, Any] = Field(
        description="by Greek and by bucket of moneyness; delta and gamma by the spots, all other second derivatives "
        "under second_order; null where no reference knows them"
    )
    provenance: dict[str, Any]
    hashes: dict[str, str]


class AliasTarget(BaseModel):
    """Where an alias is to point."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(strict=True, ge=1)]
    force: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="also for a version that misses what was required of it"
    )


class AliasState(BaseModel):
    """Where an alias points."""

    name: str
    alias: str
    version: int


class DatasetSummary(BaseModel):
    """A dataset of labels from somebody else's pricer."""

    dataset: str = Field(description="SHA-256 of its content; what a train job names")
    name: str | None
    imported: str = Field(description="ISO 8601, UTC")
    rows: int
    derivatives: bool = Field(description="whether it has dydx")
    weights: bool
    features: list[dict[str, Any]] = Field(description="the inferred Box; a train job may give another")


class DatasetList(BaseModel):
    """Every dataset."""

    datasets: list[DatasetSummary]


class DatasetFacts(DatasetSummary):
    """All that is known of a dataset."""

    distinct_rows: int = Field(description="rows with different features")
    copies: int = Field(description="rows that equal an earlier one, labels too; no replicates")
    columns: list[str]
    statistics: dict[str, dict[str, float]] = Field(description="least, largest, mean and deviation of every column")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="one sentence: what is wrong, where, and what to do")
    path: str | None = Field(None, description="place in the request, as inputs[3][0]")
    bound: float | None = Field(None, description="the bound that was broken")
    estimate: dict[str, float] | None = Field(
        None, description="of a job that costs too much: seconds, memory_bytes and disk_bytes that it would take"
    )
    limits: dict[str, float] | None = Field(None, description="beside an estimate: job_seconds and job_memory")
