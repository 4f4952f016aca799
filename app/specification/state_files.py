"""A sampler that names a file of states: the command line reads it, a client may not. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.errors import InvalidRequest
from app.specification.build import BuildSpec
from app.specification.feature_files import read_archive, read_features
from pricing.errors import InvalidSpec
from pricing.specs.base import load


def with_states(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A build whose sampler names a table file, relative to ``folder``, with the rows of the file in its place.

    Raises:
        InvalidSpec: the file is missing or does not fit the Box, or something else does not describe a build.
    """
    if not names_state_file(data):
        return data
    labels, sampler = data["labels"], dict(data["labels"]["sampler"])
    source = folder / str(sampler.pop("table"))
    other = {name: value for name, value in labels.items() if name != "sampler"}
    box = load(BuildSpec, data | {"labels": other}).box
    try:
        rows = (read_archive if source.suffix == ".npz" else read_features)(source, box)
    except InvalidRequest as error:
        raise InvalidSpec(f"labels.sampler.table: {error}", path="labels.sampler.table") from error
    return data | {"labels": other | {"sampler": sampler | {"states": rows.tolist()}}}


def refuse_state_file(data: object) -> None:
    """Raise InvalidSpec for a sampler that names a file: a client must not make the server read one."""
    if names_state_file(data):
        raise InvalidSpec(
            "labels.sampler.table: only `sobolite build` reads a table beside its file; give its rows as "
            "states = [[...], ...], columns in the order of the Box",
            path="labels.sampler.table",
        )


def names_state_file(data: object) -> bool:
    """Whether the sampler of a build or prune job in plain data names a file."""
    for key in ("labels", "sampler"):
        data = data.get(key) if isinstance(data, dict) else None
    return isinstance(data, dict) and "table" in data
