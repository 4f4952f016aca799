"""Immutable model versions: a folder each on disk, their metadata and movable aliases in SQLite.

``<root>/<name>/<version>/`` is written whole under ``<root>/.staging``, flushed to disk and renamed into place inside
the transaction that adds its row. So a row always names a complete folder. A complete folder without a row (its process
died between rename and commit, or the database was lost) gets its row from `app.registry.recovery`; no folder of a
version is ever replaced or removed. The write lock makes publishers wait for each other: whatever lies in ``.staging``
when a publisher holds it belongs to a dead one.

``latest`` is derived. ``champion`` is set by the first version of a name that meets what was required of it, and moves
only by `Registry.set_alias`: publishing never changes what the champion's clients are answered.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from app.errors import InvalidRequest, NotGated, UnknownModel, UnknownVersion
from app.files import read_json
from app.registry import recovery
from app.registry.database import (
    ALIASES,
    BUSY_SECONDS,
    DATABASE,
    DATABASE_ERRORS,
    LOCK_SECONDS,
    VERSIONS,
    available,
    connect,
    identity,
    open_database,
    refused,
    require_intact,
    require_same,
    writing,
)
from app.registry.recovery import ALIAS, LATEST, NUMBER, RECORD
from app.specification.name import CHAMPION, require_name
from surrogate.artifact.files import MANIFEST, MODEL, SUMS, Artifact, files, verify

STAGING = ".staging"


@dataclass(frozen=True)
class PublishedModel:
    """What the registry knows of one name."""

    versions: dict[int, str] = field(default_factory=dict)  # to the time of publishing, ISO 8601
    aliases: dict[str, int] = field(default_factory=dict)


class Registry:
    """The registry at ``root``; safe to share between threads, and between processes on one machine.

    ``recovered`` has the references ``name@version`` whose rows were lost and are rebuilt from their folders.

    Raises:
        RegistryUnavailable: ``root`` cannot be made, opened or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with available(root / DATABASE):
            root.mkdir(parents=True, exist_ok=True)
            self._engine = open_database(root)
            self._opened = identity(root / DATABASE)
            self.recovered = recovery.recover(root, self._engine)
            # SQLite counts the commits of every *other* connection here: reading this number costs microseconds.
            # It waits for no lock, for it is asked on the event loop.
            self._watch = connect(root / DATABASE, seconds=0.0)
        self._seen: tuple[object, dict[str, PublishedModel]] = (None, {})

    def close(self) -> None:
        """Close the database."""
        self._watch.close()
        self._engine.dispose()
        self._seen = (None, {})

    def require_present(self) -> None:
        """Refuse to go on with a database that was removed, replaced or damaged under this process, or is locked.

        Raises:
            RegistryUnavailable: it was.
        """
        require_same(self.root / DATABASE, self._opened)
        require_intact(self.root / DATABASE)

    def names(self) -> list[str]:
        """Every model name, sorted."""
        return sorted(self._models())

    def catalogue(self) -> list[dict[str, Any]]:
        """Name, latest version, versions and aliases of every model, sorted by name, as plain data."""
        return [
            {"name": name, "latest": max(model.versions), "versions": sorted(model.versions), "aliases": model.aliases}
            for name, model in sorted(self._models().items())
        ]

    def model(self, name: str) -> PublishedModel:
        """Versions and aliases of a name.

        Raises:
            UnknownModel: lists the names there are.
        """
        models = self._models()
        if name not in models:
            raise UnknownModel(f"no model {name!r}; the registry has {', '.join(sorted(models)) or 'no models yet'}")
        return models[name]

    def versions(self, name: str) -> list[int]:
        """Version numbers of a name, ascending."""
        return sorted(self.model(name).versions)

    def aliases(self, name: str) -> dict[str, int]:
        """Alias to version number, ``latest`` included."""
        return self.model(name).aliases

    def resolve(self, name: str, version: int | str) -> int:
        """The version number that a number, its digits or an alias stands for.

        Raises:
            UnknownModel, UnknownVersion: list what there is.
        """
        model = self.model(name)
        number = model.aliases.get(version) if isinstance(version, str) else version
        if isinstance(version, str) and NUMBER.fullmatch(version):
            number = int(version)
        if number not in model.versions:
            raise UnknownVersion(
                f"{name} has no version or alias {version!r}; it has versions {_spans(model)} and aliases "
                f"{', '.join(sorted(model.aliases))}"
            )
        return number

    def folder(self, name: str, version: int) -> Path:
        """The folder of a published version.

        Raises:
            UnknownModel, UnknownVersion: list what there is.
        """
        return self.root / name / str(self.resolve(name, version))

    def publish(self, name: str, artifact: Artifact, *, job_id: str, submitter: str | None = None) -> int:
        """Publish an artifact as the next version of ``name`` and return its number.

        The same ``job_id`` again publishes nothing and returns the number it got. Who ordered it is kept beside it.

        Raises:
            InvalidSpec: the name cannot name a model.
            RegistryUnavailable, StorageFull: nothing was published.
        """
        return self._publish(name, files(artifact), job_id, submitter)

    def published_by(self, job_id: str) -> str | None:
        """``name@version`` of what a job has published, None if nothing."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(VERSIONS).filter_by(job_id=job_id)).first()
        return None if row is None else f"{row.name}@{row.version}"

    def seed(self, bundled: Path) -> None:
        """Publish every ``<name>/<version>/`` under ``bundled`` whose content is not here yet, oldest first.

        Raises:
            CorruptArtifact: a bundled file differs from its hash.
        """
        for folder in sorted(bundled.glob("*/[0-9]*"), key=lambda path: (path.parent.name, int(path.name))):
            sums = verify(folder)
            content = {name: (folder / name).read_bytes() for name in (*sums, SUMS)}
            name, digest = folder.parent.name, hashlib.sha256(content[SUMS]).hexdigest()
            known = self.published_by(job_id := f"bundled:{name}:{digest}")
            if known is None:
                self._publish(name, content, job_id)
            elif known.partition("@")[0] != name:
                recovery.tell(logging.WARNING, "folder passed over", folder=str(folder), copy_of=known)

    def set_alias(self, name: str, alias: str, version: int | str, *, force: bool = False) -> int:
        """Make ``alias`` stand for a version from now on and return the number.

        Args:
            force: also for a version that misses what was required of it.

        Raises:
            NotGated: it does.
            InvalidRequest: not an alias, or ``latest``, which always is the highest number.
            UnknownModel, UnknownVersion: list what there is.
            RegistryUnavailable, StorageFull: the alias stands where it stood.
        """
        if not ALIAS.fullmatch(alias) or alias == LATEST:
            raise InvalidRequest(
                f"alias must be 1 to 64 of a-z, 0-9, '_', '-', start with a letter and not be 'latest', got {alias!r}",
                path="alias",
            )
        self.require_present()
        number = self.resolve(name, version)
        if not force:
            require_gated(f"{name}@{number}", read_json(self.folder(name, number) / MANIFEST))
        row = {"name": name, "alias": alias, "version": number}
        with self._writing(LOCK_SECONDS) as connection:
            connection.execute(
                insert(ALIASES).values(row).on_conflict_do_update(["name", "alias"], set_={"version": number})
            )
            recovery.keep_aliases(self.root, connection, name)
        return number

    def _models(self) -> dict[str, PublishedModel]:
        """The whole catalogue, read again after any commit."""
        try:
            count = self._watch.execute("PRAGMA data_version").fetchone()
            if count != self._seen[0]:
                self._seen = (count, self._read())
        except DATABASE_ERRORS as error:
            if self._seen[0] is None:
                raise refused(self.root / DATABASE, error) from error
            # Gone, damaged or locked: its versions are where they were and prices go on; /readyz and writes say why.
        return self._seen[1]

    def _read(self) -> dict[str, PublishedModel]:
        models: dict[str, PublishedModel] = {}
        with self._engine.connect() as connection:
            # Aliases first: somebody may publish between the two, and a version is there before its alias and for ever.
            aliases = connection.execute(sa.select(ALIASES)).all()
            for row in connection.execute(sa.select(VERSIONS).order_by(VERSIONS.c.version)):
                model = models.setdefault(row.name, PublishedModel())
                model.versions[row.version] = row.published
                model.aliases[LATEST] = row.version
        for row in aliases:
            if row.name in models and row.version in models[row.name].versions:  # else its row was lost under us
                models[row.name].aliases[row.alias] = row.version
        return models

    def _publish(self, name: str, content: Mapping[str, bytes], job_id: str, submitter: str | None = None) -> int:
        require_name(name)
        with self._writing() as connection:
            recovery.restore(self.root, connection, [name])
            known = connection.execute(sa.select(VERSIONS).filter_by(job_id=job_id)).first()
            if known is not None and known.name != name:
                raise InvalidRequest(
                    f"job {job_id} has published {known.name}@{known.version} and cannot publish {name} too; use "
                    "another job"
                )
            if known is not None:
                return int(known.version)
            highest = connection.scalar(sa.select(sa.func.max(VERSIONS.c.version)).filter_by(name=name))
            # A folder that is no complete version may be somebody's half of a backup: its number is passed over.
            version = max(highest or 0, *recovery.numbers(self.root / name), 0) + 1
            row = {"name": name, "version": version, "job_id": job_id}
            row |= {"sha256": hashlib.sha256(content[MODEL]).hexdigest(), "published": datetime.now(UTC).isoformat()}
            whose = {} if submitter is None else {"submitter": submitter}
            record = json.dumps({"job_id": job_id, "published": row["published"], **whose}).encode()
            self._place(self.root / name / str(version), {**content, RECORD: record})
            connection.execute(sa.insert(VERSIONS).values(row))
            if CHAMPION not in recovery.aliases(connection, name) and not recovery.missed(
                json.loads(content[MANIFEST])
            ):
                connection.execute(sa.insert(ALIASES).values(name=name, alias=CHAMPION, version=version))
                recovery.keep_aliases(self.root, connection, name)
        recovery.tell_change(logging.INFO, f"job {job_id}", f"version {name}@{version}", None, "published")
        return version

    @contextmanager
    def _writing(self, seconds: float = BUSY_SECONDS) -> Iterator[sa.Connection]:
        """A transaction on a database that is still the registry's; its file may go between the two looks."""
        self.require_present()
        with available(self.root / DATABASE), writing(self._engine, seconds=seconds) as connection:
            require_same(self.root / DATABASE, self._opened)
            yield connection

    def _place(self, target: Path, content: Mapping[str, bytes]) -> None:
        """Write a folder so that after this call its complete content survives a power cut."""
        staging = self.root / STAGING
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir()
        for name, data in content.items():
            with (staging / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        target.parent.mkdir(exist_ok=True)
        _flush(staging)
        staging.rename(target)
        _flush(target.parent)
        _flush(self.root)


def require_gated(reference: str, manifest: Mapping[str, Any]) -> None:
    """Raise NotGated for a version that misses what was required of it."""
    if sentences := recovery.missed(manifest):
        more = f", and {len(sentences) - 1} more" if len(sentences) > 1 else ""
        raise NotGated(
            f"{reference} was published although it misses what was required: {sentences[0]}{more}. Let the alias "
            "stand for another version, or force it (--force, or force in the request)",
            path="version",
        )


def _flush(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _spans(model: PublishedModel) -> str:
    low, high = min(model.versions), max(model.versions)
    return str(low) if low == high else f"{low} to {high}"
