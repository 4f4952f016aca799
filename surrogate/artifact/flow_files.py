"""A learnt flow as files: both graphs and what is known of them. Torch-free but for what makes it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pricing.errors import InvalidSpec
from pricing.types import Array
from surrogate.errors import CorruptArtifact
from surrogate.report.record import Record
from surrogate.runtime import open_session
from surrogate.spec import DENSITY, SAMPLER

FACTS = "flow.json"


class FlowFacts(Record, frozen=True, kw_only=True):
    """What is known of a learnt flow.

    Args:
        columns: names of the coordinates.
        learnt_from, held_out: numbers of states.
        spec: how it was learnt, as plain data.
        weights: of the field that are not 0, and of all of them.
        nats: mean negative log-likelihood of the held-out states, and that of the Gaussian of the others.
        hashes: SHA-256 by file, and of the states.
    """

    columns: tuple[str, ...]
    learnt_from: int
    held_out: int
    seed: int
    spec: dict[str, Any]
    weights: tuple[int, int]
    nats: float
    gaussian_nats: float
    hashes: dict[str, str]


def write_flow(folder: Path, graphs: dict[str, bytes], facts: FlowFacts) -> None:
    """Write a new folder."""
    folder.mkdir(parents=True)
    for name, content in graphs.items():
        (folder / name).write_bytes(content)
    (folder / FACTS).write_text(json.dumps(msgspec.to_builtins(facts), indent=2, allow_nan=False) + "\n")


def read_flow(folder: Path) -> FlowFacts:
    """The facts of a folder whose files are what they were.

    Raises:
        CorruptArtifact: a file is missing or another one.
    """
    try:
        facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=FlowFacts)
        for name in (SAMPLER, DENSITY):
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != facts.hashes[name]:
                raise CorruptArtifact(f"{folder / name} is not the file that {FACTS} names; make the flow again")
    except (OSError, msgspec.ValidationError, msgspec.DecodeError, KeyError) as error:
        raise CorruptArtifact(f"{folder} holds no flow: {error}") from error
    return facts


def draw_states(folder: Path, count: int, *, seed: int) -> Array:
    """Independent states by the law of a flow. Shape: -> count coordinate.

    Raises:
        CorruptArtifact: no flow.
    """
    normals = np.random.default_rng(seed).standard_normal((count, len(read_flow(folder).columns)))
    states: Array = open_session((folder / SAMPLER).read_bytes()).run(["states"], {"normals": normals})[0]
    return states


def log_density(folder: Path, states: Array) -> Array:
    """log p of states. Shape: state coordinate -> state.

    Raises:
        CorruptArtifact: no flow.
        InvalidSpec: states so far out that their density is no number.
    """
    read_flow(folder)
    density: Array = open_session((folder / DENSITY).read_bytes()).run(["log_density"], {"states": states})[0]
    if not np.isfinite(density).all():
        row = int(np.argmin(np.isfinite(density)))
        raise InvalidSpec(
            f"states[{row}] is so far from what the flow has learnt that its density is no number; leave it out",
            path=f"states[{row}]",
        )
    return density
