"""Datasets of other people's labels, under the hash of their content, in the registry's folder. Torch-free.

``<root>/datasets/<id>.npz`` holds the numbers, ``<id>.json`` what is known of them; neither takes its name before both
are written, and the second takes it last, so what it names is complete. But for the name that a client
chooses files never change: the same content is the same dataset, whatever file it came in.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec
import numpy as np
from msgspec.structs import replace

from app.datasets.apart import read_apart
from app.datasets.facts import ListedDataset, StoredDataset, describe
from app.datasets.piped import regular
from app.datasets.table import LabelTable, Limits
from app.errors import UnknownDataset
from app.files import read_json, write_json
from app.settings import Settings
from app.specification.client_text import kept_name
from app.specification.dataset import IDENTIFIER, DatasetSource
from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load

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
    return Limits(
        rows=settings.dataset_rows,
        size=settings.dataset_bytes,
        seconds=settings.read_seconds,
        memory=settings.read_memory,
    )


def import_file(path: Path, root: Path, limits: Limits, *, name: str | None = None) -> tuple[StoredDataset, bool]:
    """Store the labels of a file below the registry's root; what is known of them, and whether they are new.

    Args:
        path: of a file or a pipe, or ``-`` for standard input.
        name: what to call them, also where they are known under another name; without one they keep theirs.

    Raises:
        InvalidRequest: `name` is too long or not printable.
        InvalidRequest, TooLarge, Unavailable: see `app.datasets.piped.regular` and `app.datasets.apart.read_apart`.
    """
    name = kept_name(name)
    with regular(path, limits) as file:
        table = read_apart(file, limits)
    identifier = content_hash(table)
    folder = root / FOLDER
    facts_path = folder / f"{identifier}.json"
    if facts_path.exists():
        known = find(root, identifier)
        if name is not None and name != known.name:
            known = replace(known, name=name)
            write_json(facts_path, dump(known))
        facts_path.touch()  # its age counts from the last import
        return known, False
    facts = describe(table, dataset=identifier, name=name)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as unfinished:
        numbers = Path(unfinished) / f"{identifier}.npz"
        with _kept(numbers) as file:
            np.savez(file, allow_pickle=False, **table.arrays)
        with _kept(Path(unfinished) / facts_path.name) as file:
            file.write(json.dumps(dump(facts), indent=2, allow_nan=False).encode())
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


def content_hash(table: LabelTable) -> str:
    """SHA-256 of the names of the features and of every number as little-endian float64."""
    digest = hashlib.sha256(json.dumps(table.names).encode())
    for name, numbers in table.arrays.items():
        digest.update(f"\n{name} {numbers.shape}\n".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def catalogue(root: Path) -> list[ListedDataset]:
    """A summary of every dataset, the newest first."""
    summaries = [load(ListedDataset, read_json(path)) for path in (root / FOLDER).glob("*.json")]
    return sorted(summaries, key=lambda summary: (summary.imported, summary.dataset), reverse=True)


def find(root: Path, identifier: str) -> StoredDataset:
    """What is known of a dataset.

    Raises:
        UnknownDataset: no such dataset.
    """
    path = root / FOLDER / f"{identifier}.json"
    if not IDENTIFIER.fullmatch(identifier) or not path.exists():
        raise UnknownDataset(f"no dataset {identifier[:80]!r}; GET /v1/datasets or `sobolite dataset list` shows them")
    return load(StoredDataset, read_json(path))


def read(root: Path, identifier: str) -> LabelTable:
    """The labels of a dataset.

    Raises:
        UnknownDataset: no such dataset.
    """
    facts = find(root, identifier)
    with np.load(root / FOLDER / f"{identifier}.npz", allow_pickle=False) as archive:
        return LabelTable(names=facts.columns, **archive)


def delete(root: Path, identifier: str) -> None:
    """Delete a dataset: first the file that names it, so that no other process finds half of one."""
    for suffix in (".json", ".npz"):
        (root / FOLDER / f"{identifier}{suffix}").unlink(missing_ok=True)


def imported_before(root: Path, when: datetime) -> list[str]:
    """Datasets that were last imported before a time, the oldest first."""
    ages = {path.stem: path.stat().st_mtime for path in (root / FOLDER).glob("*.json")}
    return sorted((name for name, age in ages.items() if age < when.timestamp()), key=ages.__getitem__)


def delete_unfinished(root: Path, *, older_than: float) -> None:
    """Delete what imports and deletions that died have left: numbers without a name, and folders.

    Args:
        older_than: seconds since the epoch; an import that goes on is younger.
    """
    for path in (root / FOLDER).glob("*"):
        with suppress(FileNotFoundError):  # somebody else deletes it too
            if path.stat().st_mtime >= older_than:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == ".npz" and not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)


def with_features(source: DatasetSource, root: Path, needed: tuple[str, int]) -> DatasetSource:
    """The source with its Box: the given one if it fits the dataset, by default the inferred one.

    Args:
        needed: the field that needs most derivatives of the labels, and how many.

    Raises:
        UnknownDataset: no such dataset.
        InvalidSpec: a Box of another width, or labels that lack what the loss needs.
    """
    facts, (field, order) = find(root, source.id), needed
    least = 1 if facts.derivatives else 0
    if order > least:
        raise InvalidSpec(
            f"{field} needs labels of order {order} and the dataset has labels of order {least}; "
            + REMEDIES[field].format(least=least)
            + (", or import columns dydx too" if least == 0 else ""),
            path=field,
            bound=least,
        )
    features = source.features or facts.features
    size = sum(feature.size for feature in features)
    if size != len(facts.columns):
        raise InvalidSpec(
            f"dataset.features have {size} coordinates and the dataset {len(facts.columns)} columns "
            f"({', '.join(facts.columns)}); give one coordinate a column, in their order",
            path="dataset.features",
            bound=len(facts.columns),
        )
    require_data(features, facts)
    return msgspec.structs.replace(source, features=features)


def require_data(features: tuple[Feature, ...], facts: StoredDataset) -> None:
    """Raise InvalidSpec for a Box that reaches far beyond the data."""
    box = Box(features=features)
    for label, column, lower, upper in zip(box.labels, facts.columns, box.lower, box.upper, strict=True):
        least, largest = facts.statistics[column].least, facts.statistics[column].largest
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
