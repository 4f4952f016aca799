"""Rows of the registry's database, rebuilt from the folders of versions. Torch-free.

A folder tells all of its row: SHA256SUMS that it is complete and the hash of its model, ``publication`` by which job
and when. A folder of an earlier release has no ``publication``; it counts as published when its files were written.
``aliases`` beside the versions of a name tells where its aliases stood; without it ``champion`` is the oldest version
that misses nothing, as it is when nobody has moved it. What the database does say is right: nothing here changes a row.

A job publishes once. Of two folders by the same job one is a copy that somebody has made: the one whose manifest has
another name, else the later one. It is passed over; registered, it would keep the other from being found by its job.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from app.registry.database import ALIASES, VERSIONS, writing
from app.specification.name import CHAMPION, NAME
from surrogate.artifact.files import MANIFEST, MODEL, SUMS, listed
from surrogate.errors import CorruptArtifact

RECORD = "publication"
ALIASES_FILE = "aliases"
UNFINISHED = ".aliases"
LATEST = "latest"
NUMBER = re.compile(r"[1-9][0-9]{0,17}")
ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def recover(root: Path, engine: sa.Engine) -> tuple[str, ...]:
    """Add the rows that folders have and the database has not; their versions as ``name@version``."""
    names = sorted(path.name for path in root.iterdir() if NAME.fullmatch(path.name) and path.is_dir())
    with engine.connect() as connection:
        if all(_is_whole(root, connection, name) for name in names):
            return ()
    with writing(engine) as connection:
        restored = restore(root, connection, names)
        for name in names:
            if _kept_aliases(root / name) != aliases(connection, name):
                keep_aliases(root, connection, name)
    return restored


def restore(root: Path, connection: sa.Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Add lost rows and aliases of ``names`` inside a transaction; the versions that had none as ``name@version``.

    Each is logged, and so is a copy that is passed over.
    """
    names, restored = list(names), []
    lost = [root / name / str(version) for name in names for version in _lost(root / name, _versions(connection, name))]
    for folder in sorted(lost, key=lambda folder: (not _has_its_name(folder), folder.parent.name, int(folder.name))):
        reference, original = f"{folder.parent.name}@{folder.name}", _published_by(connection, _job(folder))
        if original is not None:
            tell(logging.WARNING, "folder passed over", folder=str(folder), copy_of=str(root / original))
            continue
        connection.execute(sa.insert(VERSIONS).values(_row(connection, folder)))
        tell_change(logging.WARNING, "recovery", f"version {reference}", "a folder without a row", "published")
        restored.append(reference)
    for name in names:
        for alias, version in _lost_aliases(root, connection, name).items():
            connection.execute(sa.insert(ALIASES).values(name=name, alias=alias, version=version))
            tell_change(logging.WARNING, "recovery", f"alias {alias} of {name}", None, version)
    return tuple(sorted(restored))


def tell_change(level: int, who: str, what: str, before: str | None, after: str | int) -> None:
    """Log that the database has something new, or something back."""
    tell(level, "state changed", who=who, what=what, **{"from": before, "to": after})


def tell(level: int, event: str, **facts: Any) -> None:
    """Log, where this process has a log: the standard output of another program is its own."""
    if structlog.is_configured():
        structlog.get_logger().log(level, event, **facts)


def keep_aliases(root: Path, connection: sa.Connection, name: str) -> None:
    """Write the aliases of a name beside its versions; the write lock is held, so the temporary name is free."""
    partial = root / UNFINISHED
    with partial.open("w", encoding="utf-8") as file:
        json.dump(aliases(connection, name), file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(root / name / ALIASES_FILE)


def numbers(folder: Path) -> Iterator[int]:
    """The numbers that something in the folder of a name is called by, complete or not."""
    if folder.is_dir():
        yield from (int(path.name) for path in folder.iterdir() if NUMBER.fullmatch(path.name))


def missed(manifest: Mapping[str, Any]) -> list[str]:
    """What a version misses of what was required of it, a sentence each."""
    return list((manifest.get("gate") or {}).get("missed", ()))


def submitter_of(folder: Path) -> str | None:
    """Who ordered the version in a folder; None where it does not say."""
    submitter = _read(folder / RECORD).get("submitter")
    return submitter if isinstance(submitter, str) else None


def is_complete(folder: Path) -> bool:
    """Whether every file that SHA256SUMS lists is there; one that is damaged was published nevertheless."""
    try:
        return all((folder / name).is_file() for name in listed(folder))
    except CorruptArtifact:
        return False


def _is_whole(root: Path, connection: sa.Connection, name: str) -> bool:
    """Whether rows, folders and the file of aliases of a name agree."""
    versions, known = _versions(connection, name), aliases(connection, name)
    lost = any(
        _published_by(connection, _job(root / name / str(version))) is None for version in _lost(root / name, versions)
    )
    return not lost and not _lost_aliases(root, connection, name) and _kept_aliases(root / name) == known


def _lost(folder: Path, versions: set[int]) -> Iterator[int]:
    return (number for number in numbers(folder) if number not in versions and is_complete(folder / str(number)))


def _job(folder: Path) -> str | None:
    """By which job a folder says that it was published; one of an earlier release does not say."""
    job = _read(folder / RECORD).get("job_id")
    return job if isinstance(job, str) else None


def _published_by(connection: sa.Connection, job: str | None) -> str | None:
    """The folder below the root of what a job has published."""
    row = connection.execute(sa.select(VERSIONS).filter_by(job_id=job)).first() if job is not None else None
    return None if row is None else f"{row.name}/{row.version}"


def _has_its_name(folder: Path) -> bool:
    """Whether a folder's manifest has the name that it is filed under."""
    return _read(folder / MANIFEST).get("name") == folder.parent.name


def _lost_aliases(root: Path, connection: sa.Connection, name: str) -> dict[str, int]:
    versions, known = _versions(connection, name), aliases(connection, name)
    kept = {alias: number for alias, number in _kept_aliases(root / name).items() if number in versions}
    if CHAMPION not in known | kept:  # looked for only then: it reads the manifests of a name
        good = (number for number in sorted(versions) if not missed(_read(root / name / str(number) / MANIFEST)))
        if (first := next(good, None)) is not None:
            kept[CHAMPION] = first
    return {alias: number for alias, number in kept.items() if alias not in known}


def _versions(connection: sa.Connection, name: str) -> set[int]:
    return set(connection.scalars(sa.select(VERSIONS.c.version).filter_by(name=name)))


def aliases(connection: sa.Connection, name: str) -> dict[str, int]:
    """Alias to version number, as the rows of a name have them."""
    rows = connection.execute(sa.select(ALIASES).filter_by(name=name))
    return {row.alias: row.version for row in rows}


def _kept_aliases(folder: Path) -> dict[str, int]:
    """What the file of aliases says; nothing where it is missing or damaged."""
    data = _read(folder / ALIASES_FILE)
    return {
        alias: number
        for alias, number in data.items()
        if ALIAS.fullmatch(alias) and alias != LATEST and isinstance(number, int)
    }


def _row(connection: sa.Connection, folder: Path) -> dict[str, Any]:
    name, sums, record = folder.parent.name, listed(folder), _read(folder / RECORD)
    written = datetime.fromtimestamp((folder / SUMS).stat().st_mtime, UTC).isoformat()
    # As `Registry.seed` names a bundled model of this content, so that it is not published a second time.
    content = f"bundled:{name}:{hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()}"
    taken = sa.select(sa.func.count()).select_from(VERSIONS)
    job_id = _job(folder) or content
    if connection.scalar(taken.filter_by(job_id=job_id)):
        job_id = f"recovered:{name}:{folder.name}"
    return {
        "name": name,
        "version": int(folder.name),
        "job_id": job_id,
        "sha256": sums[MODEL],
        "published": str(record.get("published", written)),
    }


def _read(path: Path) -> dict[str, Any]:
    """An object in a small file; an empty one where there is none that can be read."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
