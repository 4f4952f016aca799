"""Datasets of other people's labels, under the hash of their content, in the registry's folder. Torch-free.

``<root>/datasets/<id>.npz`` holds the numbers, ``<id>.json`` what is known of them; neither takes its name before both
are written, and the second takes it last, so what it names is complete. Files never change: the same content is the
same dataset, whatever file it came in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import msgspec
import numpy as np

from app.datasets.files import read_labels
from app.datasets.table import LabelTable, Limits
from app.errors import UnknownDataset
from app.settings import Settings
from app.specification.dataset import IDENTIFIER, DatasetSource
from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.types import Array
from surrogate.evaluation.replicates import copies, numbered

FOLDER = "datasets"
# How far beyond the data a Box may reach, as a share of their range: to round bounds, and not to extrapolate.
REACH = 0.05
# What to change where labels lack the derivatives that a field needs.
REMEDIES = {
    "training.loss": "set training.loss.order = {least}",
    "network.inputs": 'set network.inputs = "features"',
    "polynomial": 'set polynomial.derivative_weight = 0 and polynomial.inputs = "features"',
    "pruning.rows": 'set pruning.rows = "gauss_newton"',
    "pruning.fine_tuning.loss": "set pruning.fine_tuning.loss.order = {least}",
}


def limits_of(settings: Settings) -> Limits:
    """How large a dataset may be."""
    return Limits(rows=settings.dataset_rows, size=settings.dataset_bytes)


def import_file(path: Path, root: Path, limits: Limits, *, name: str | None = None) -> tuple[dict[str, Any], bool]:
    """Store the labels of a file below the registry's root; what is known of them, and whether they are new.

    Raises:
        InvalidRequest, TooLarge, Unavailable: see `app.datasets.files.read_labels`.
    """
    table = read_labels(path, limits)
    identifier = content_hash(table)
    folder = root / FOLDER
    facts_path = folder / f"{identifier}.json"
    if facts_path.exists():
        return find(root, identifier), False
    facts = {"dataset": identifier, "name": name, "imported": datetime.now(UTC).isoformat(), **describe(table)}
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as unfinished:
        numbers = Path(unfinished) / f"{identifier}.npz"
        with _kept(numbers) as file:
            np.savez(file, allow_pickle=False, **columns(table))
        with _kept(Path(unfinished) / facts_path.name) as file:
            file.write(json.dumps(facts, indent=2, allow_nan=False).encode())
        for written in (numbers, Path(unfinished) / facts_path.name):
            written.replace(folder / written.name)
    return find(root, identifier), True


@contextmanager
def _kept(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk when the block is left."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def columns(table: LabelTable) -> dict[str, Array]:
    """The arrays of a table that there are, by name, with one sign of zero."""
    parts = {"x": table.x, "y": table.y, "dydx": table.dydx, "weight": table.weight}
    return {name: np.ascontiguousarray(part, dtype="<f8") + 0.0 for name, part in parts.items() if part is not None}


def content_hash(table: LabelTable) -> str:
    """SHA-256 of the names of the features and of every number as little-endian float64."""
    digest = hashlib.sha256(json.dumps(table.names).encode())
    for name, part in columns(table).items():
        digest.update(f"\n{name} {part.shape}\n".encode())
        digest.update(part.tobytes())
    return digest.hexdigest()


def describe(table: LabelTable) -> dict[str, Any]:
    """Size, inferred Box and statistics of every column, as plain data."""
    statistics = {name: _statistics(part) for name, part in zip(table.names, table.x.T, strict=True)}
    statistics["y"] = _statistics(table.y)
    if table.dydx is not None:
        statistics |= {f"dydx[{place}]": _statistics(part) for place, part in enumerate(table.dydx.T)}
    if table.weight is not None:
        statistics["weight"] = _statistics(table.weight)
    parts = columns(table)
    labels = [name for name in ("y", "dydx") if name in parts]
    return {
        "rows": len(table.y),
        "distinct_rows": int(numbered(parts["x"]).max()) + 1,
        "copies": int(copies(parts["x"], [parts[name].reshape(len(table.y), -1) for name in labels]).sum()),
        "derivatives": table.dydx is not None,
        "weights": table.weight is not None,
        "columns": list(table.names),
        "features": [dump(feature) for feature in inferred(table)],
        "statistics": statistics,
    }


def _statistics(part: Array) -> dict[str, float]:
    return {
        "least": float(part.min()),
        "largest": float(part.max()),
        "mean": float(part.mean()),
        "deviation": float(part.std()),
    }


def inferred(table: LabelTable) -> tuple[Feature, ...]:
    """The Box of the rows: the least and largest number of every column, the columns of one name together."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(table.names):
        groups.setdefault(name.partition("[")[0], []).append(place)
    low, high = table.x.min(axis=0), table.x.max(axis=0)
    return tuple(
        Feature(name=name, lower=tuple(low[places].tolist()), upper=tuple(high[places].tolist()))
        for name, places in groups.items()
    )


def catalogue(root: Path) -> list[dict[str, Any]]:
    """What is known of every dataset but its columns, the newest first."""
    found = [json.loads(path.read_bytes()) for path in (root / FOLDER).glob("*.json")]
    kept = ("dataset", "name", "imported", "rows", "derivatives", "weights", "features")
    return sorted(({key: facts[key] for key in kept} for facts in found), key=_imported, reverse=True)


def _imported(facts: dict[str, Any]) -> tuple[str, str]:
    return facts["imported"], facts["dataset"]


def find(root: Path, identifier: str) -> dict[str, Any]:
    """What is known of a dataset.

    Raises:
        UnknownDataset: no such dataset.
    """
    path = root / FOLDER / f"{identifier}.json"
    if not IDENTIFIER.fullmatch(identifier) or not path.exists():
        raise UnknownDataset(f"no dataset {identifier[:80]!r}; GET /v1/datasets or `sobolite dataset list` shows them")
    facts: dict[str, Any] = json.loads(path.read_bytes())
    return facts


def read(root: Path, identifier: str) -> dict[str, Array]:
    """The arrays x, y and, where there are, dydx and weight.

    Raises:
        UnknownDataset: no such dataset.
    """
    find(root, identifier)
    with np.load(root / FOLDER / f"{identifier}.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def with_features(source: DatasetSource, root: Path, needed: tuple[str, int]) -> DatasetSource:
    """The source with its Box: the given one if it fits the dataset, by default the inferred one.

    Args:
        needed: the field that needs most derivatives of the labels, and how many.

    Raises:
        UnknownDataset: no such dataset.
        InvalidSpec: a Box of another width, or labels that lack what the loss needs.
    """
    facts, (field, order) = find(root, source.id), needed
    least = 1 if facts["derivatives"] else 0
    if order > least:
        raise InvalidSpec(
            f"{field} needs labels of order {order} and the dataset has labels of order {least}; "
            + REMEDIES[field].format(least=least)
            + (", or import columns dydx too" if least == 0 else ""),
            path=field,
            bound=least,
        )
    features = source.features or load(tuple[Feature, ...], facts["features"])
    size = sum(feature.size for feature in features)
    if size != len(facts["columns"]):
        raise InvalidSpec(
            f"dataset.features have {size} coordinates and the dataset {len(facts['columns'])} columns "
            f"({', '.join(facts['columns'])}); give one coordinate a column, in their order",
            path="dataset.features",
            bound=len(facts["columns"]),
        )
    require_data(features, facts)
    return msgspec.structs.replace(source, features=features)


def require_data(features: tuple[Feature, ...], facts: Mapping[str, Any]) -> None:
    """Raise InvalidSpec for a Box that reaches far beyond the data."""
    box = Box(features=features)
    for label, column, lower, upper in zip(box.labels, facts["columns"], box.lower, box.upper, strict=True):
        least, largest = (facts["statistics"][column][end] for end in ("least", "largest"))
        room = REACH * (largest - least)
        bound = [least - room, largest + room]
        if lower < bound[0] or upper > bound[1]:
            raise InvalidSpec(
                f"dataset.features: {label} goes from {lower:g} to {upper:g} and the data of column {column} from "
                f"{least:g} to {largest:g}; stay within {bound[0]:g} to {bound[1]:g}, {REACH:.0%} of their range "
                "beyond the data, or add rows there",
                path="dataset.features",
                bound=bound,
            )
