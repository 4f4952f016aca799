"""What the job database's own tables tell: pages of jobs, counts, times. Reads only; the rows are DBOS's.

DBOS waits without end for a database that is locked, and goes on with one whose file was removed: `JobDatabase.require`
looks first.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from dbos import DBOS

from app.errors import InvalidRequest
from app.registry.database import available, identity, require_same

DATABASE = "jobs.sqlite"
# Seconds that a request waits for somebody who writes; a write takes milliseconds.
LOCK_SECONDS = 2.0
# Milliseconds that a worker waits for somebody who writes: SQLite then goes on within a tenth of a second after the
# lock is free, and DBOS, which tries again after pauses of up to a minute and a half, has nothing to wait for.
WORKER_LOCK_MILLISECONDS = 3_600_000
# What is written when a job ends, at most: its outcome, the end of its events, and the pages that they change.
END_BYTES = 1 << 18
# The attribute of a job with the seconds of one of its steps, by a clock that nobody sets.
SECONDS = "seconds."
# What steps have taken whose jobs are deleted, or that have run once more: sums over all that ever ran do not fall.
TALLY = """
CREATE TABLE IF NOT EXISTS sobolite_past_steps (
    step TEXT PRIMARY KEY, count INTEGER NOT NULL, seconds REAL NOT NULL
);
CREATE TRIGGER IF NOT EXISTS sobolite_deleted_steps AFTER DELETE ON workflow_status BEGIN
    INSERT INTO sobolite_past_steps
    SELECT substr(key, 9), 1, value FROM json_each(OLD.attributes) WHERE substr(key, 1, 8) = 'seconds.'
    ON CONFLICT (step) DO UPDATE SET count = count + 1, seconds = seconds + excluded.seconds;
END;
CREATE TRIGGER IF NOT EXISTS sobolite_repeated_steps AFTER UPDATE OF attributes ON workflow_status BEGIN
    INSERT INTO sobolite_past_steps
    SELECT substr(key, 9), 1, value FROM json_each(OLD.attributes)
    WHERE substr(key, 1, 8) = 'seconds.' AND value IS NOT json_extract(NEW.attributes, '$."' || key || '"')
    ON CONFLICT (step) DO UPDATE SET count = count + 1, seconds = seconds + excluded.seconds;
END;
"""
# What SQLite can compare a number with.
StoredInteger = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
QUEUED = ("ENQUEUED", "DELAYED")


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list; None takes all."""

    statuses: tuple[str, ...] | None = None
    kind: str | None = None
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobFigures:
    """Jobs by DBOS's status, seconds since the oldest queued one came, and count and seconds of all finished steps."""

    statuses: dict[str, int]
    oldest_queued_seconds: float
    steps: dict[str, tuple[int, float]]

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return sum(self.statuses.get(status, 0) for status in QUEUED)


def open_database(root: Path) -> str:
    """Create or upgrade the job database below the registry's root and return its URL.

    Raises:
        RegistryUnavailable: the root or the database cannot be made, opened or written.
    """
    path = root / DATABASE
    url = f"sqlite:///{path}"
    with available(path):
        root.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            # Readers and the writer do not wait for each other, and a step costs a fifth of the time.
            connection.execute("PRAGMA journal_mode=WAL")
        DBOS.migrate(url)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(TALLY)
    return url


def worker_engine(path: Path) -> sa.Engine:
    """A worker's connections to the job database, as DBOS makes them, but never to an empty file in its place."""
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connect(path, isolation_level="IMMEDIATE", shared=True),
        poolclass=sa.QueuePool,
        max_overflow=-1,
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {WORKER_LOCK_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def connect(path: Path, *, isolation_level: Literal["IMMEDIATE"] | None, shared: bool = False) -> sqlite3.Connection:
    """A connection to a job database that is there, ``shared`` by threads; SQLite by itself would make one."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=isolation_level,
        check_same_thread=not shared,
    )


def require_space(folder: Path) -> None:
    """Raise OSError where the disk, or a quota, has no room for what a job's end takes; found out by taking it."""
    with TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, END_BYTES)


class JobDatabase:
    """The job database at ``path``, which exists; ``name`` is the workflow that jobs run."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._opened = identity(path)

    def require(self, *, writing: bool = False) -> None:
        """See that the database is there and can be read, or written.

        Raises:
            RegistryUnavailable: it was removed, is damaged, or somebody holds its lock.
        """
        with self._reading() as connection:
            connection.execute("SELECT count(*) FROM workflow_status WHERE workflow_uuid = ''")
            if writing:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")

    def is_replaced(self) -> bool:
        """Whether another file is in its place; what is written into the one that was opened is lost then."""
        try:
            return identity(self.path) != self._opened
        except OSError:
            return False

    def still_runs(self, job: str, worker: str) -> bool:
        """Whether a job's row says that a worker runs it; and that what comes next can be written.

        Raises:
            RegistryUnavailable, StorageFull: it cannot be written.
        """
        which = "workflow_uuid = ? AND executor_id = ? AND status = 'PENDING'"
        with self._reading() as connection:
            if not connection.execute(f"SELECT 1 FROM workflow_status WHERE {which}", [job, worker]).fetchone():  # noqa: S608
                return False
            require_space(self.path.parent)
            connection.execute(f"UPDATE workflow_status SET updated_at = updated_at WHERE {which}", [job, worker])  # noqa: S608
        return True

    def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        """Ids of at most ``limit`` jobs, the newest first, and the cursor of those after them, None at the end.

        Raises:
            InvalidRequest: the cursor is none, or belongs to another filter.
        """
        clauses, values = ["name = ?"], [self.name]
        if wanted.statuses is not None:
            clauses.append(f"status IN ({', '.join('?' * len(wanted.statuses))})")
            values += wanted.statuses
        for attribute, value in (("kind", wanted.kind), ("model", wanted.model)):
            if value is not None:
                clauses.append(f"json_extract(attributes, '$.{attribute}') = ?")
                values.append(value)
        after = () if cursor is None else read_cursor(cursor, wanted)
        if after:
            clauses.append("(created_at, rowid) < (?, ?)")
        query = (
            f"SELECT workflow_uuid, created_at, rowid FROM workflow_status WHERE {' AND '.join(clauses)} "  # noqa: S608
            "ORDER BY created_at DESC, rowid DESC LIMIT ?"  # times are whole seconds, and rows come in order
        )
        with self._reading() as connection:
            rows = connection.execute(query, [*values, *after, limit + 1]).fetchall()
        return [row[0] for row in rows[:limit]], write_cursor(rows[limit - 1][1:], wanted) if len(
            rows
        ) > limit else None

    def submitter(self, job: str) -> str | None:
        """Who has ordered a job; None where nobody was named."""
        query = "SELECT json_extract(attributes, '$.submitter') FROM workflow_status WHERE workflow_uuid = ?"
        with self._reading() as connection:
            row = connection.execute(query, [job]).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def last_event(self, job: str, stream: str) -> int:
        """The number of a job's last event, -1 before the first."""
        query = "SELECT max(offset) FROM streams WHERE workflow_uuid = ? AND key = ? AND instr(value, '__DBOS') = 0"
        with self._reading() as connection:
            (last,) = connection.execute(query, [job, stream]).fetchone()
        return -1 if last is None else int(last)

    def figures(self) -> JobFigures:
        """Counts and times of all jobs."""
        counts = "SELECT status, count(*), min(created_at) FROM workflow_status WHERE name = ? GROUP BY status"
        steps = (
            "SELECT step, sum(count), sum(seconds) FROM (SELECT * FROM sobolite_past_steps UNION ALL "
            "SELECT substr(key, ?), 1, json_each.value FROM workflow_status, json_each(attributes) "
            "WHERE name = ? AND substr(key, 1, ?) = ?) GROUP BY step"
        )
        with self._reading() as connection:
            rows = connection.execute(counts, [self.name]).fetchall()
            times = connection.execute(steps, [len(SECONDS) + 1, self.name, len(SECONDS), SECONDS]).fetchall()
        oldest = min((created for status, _, created in rows if status in QUEUED), default=None)
        return JobFigures(
            statuses={status: count for status, count, _ in rows},
            oldest_queued_seconds=0.0 if oldest is None else max(0.0, time.time() - oldest / 1000),
            steps={step: (count, seconds) for step, count, seconds in times},
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        require_same(self.path, self._opened)
        with available(self.path), closing(connect(self.path, isolation_level=None)) as connection:
            yield connection


def write_cursor(row: Iterable[object], wanted: JobFilter) -> str:
    """The place after a row, as text that says which list it belongs to."""
    return base64.urlsafe_b64encode(msgspec.json.encode((_mark(wanted), *row))).decode()


def read_cursor(cursor: str, wanted: JobFilter) -> tuple[int, int]:
    """Time and row of the last row of the page before.

    Raises:
        InvalidRequest: it is not as `write_cursor` wrote it for this list.
    """
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        mark, created, row = msgspec.json.decode(text, type=tuple[str, StoredInteger, StoredInteger])
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidRequest(
            "cursor must be 'next' of the page before; leave it out to begin", path="cursor"
        ) from error
    if mark != _mark(wanted):
        raise InvalidRequest(
            "cursor belongs to a list with other filters; repeat those of the page before", path="cursor"
        )
    return created, row


def _mark(wanted: JobFilter) -> str:
    return hashlib.sha256(repr(("jobs", *astuple(wanted))).encode()).hexdigest()[:16]
