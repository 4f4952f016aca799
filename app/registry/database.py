"""The registry's metadata in SQLite: tables, opening under a migration lock, and write transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock

from app.errors import AppError, RegistryUnavailable, StorageFull, no_room

DATABASE = "registry.sqlite"
# The newest migration in `app/migrations/versions`; a test holds the two equal.
HEAD = "0001"
# Seconds that a job's last step waits for another writer before its work is lost; a publish holds the lock for some
# milliseconds. And seconds that a request waits.
BUSY_SECONDS, LOCK_SECONDS = 30.0, 2.0
MIGRATIONS = Path(__file__).parent / "migrations"

DATABASE_ERRORS = (OSError, sqlite3.Error, sa.exc.DBAPIError)

METADATA = sa.MetaData()
VERSIONS = sa.Table(
    "model_version",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.String, nullable=False, unique=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("published", sa.String, nullable=False),
)
ALIASES = sa.Table(
    "alias",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("alias", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["name", "version"], ["model_version.name", "model_version.version"]),
)


# The two files of SQLite's write-ahead log.
COMPANIONS = ("-wal", "-shm")

# Device and inode: what a path names, whatever it is called later.
Identity = tuple[int, int]


def open_database(root: Path) -> sa.Engine:
    """An engine on the up-to-date database of the registry at ``root``, made where missing.

    Raises:
        RegistryUnavailable: a newer release has written it.
    """
    path = root / DATABASE
    engine = sa.create_engine(
        "sqlite://", creator=lambda: connect(path), poolclass=sa.QueuePool, isolation_level="AUTOCOMMIT"
    )
    sa.event.listen(engine, "connect", _durable)
    # SQLite does not serialise schema changes of several starters by itself.
    with FileLock(root / f"{DATABASE}.lock"):
        if not path.exists():
            forget_companions(path)
            path.touch()
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            revision = _revision(connection)
            if revision not in (None, HEAD) and str(revision) > HEAD:
                raise RegistryUnavailable(
                    f"{path} has layout {revision} and this release knows layouts up to {HEAD}: a newer one wrote it; "
                    "run that release, or move the file away and its rows are rebuilt from the version folders"
                )
            if revision != HEAD:
                _upgrade(engine)
    return engine


def connect(path: Path, *, seconds: float = LOCK_SECONDS) -> sqlite3.Connection:
    """A connection to a database that is there, which waits so long for a lock; SQLite would make an empty one."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=seconds,
        isolation_level=None,
        check_same_thread=False,
    )


def forget_companions(path: Path) -> None:
    """Remove the log that a database which is gone has left, so that no page of it gets into the next one."""
    for ending in COMPANIONS:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def identity(path: Path) -> Identity:
    """What tells the file at a path from another one put in its place."""
    found = path.stat()
    return found.st_dev, found.st_ino


def require_same(path: Path, opened: Identity) -> None:
    """Refuse to use a database whose file is gone: what is written into it would be lost with this process.

    Raises:
        RegistryUnavailable: there is no file at ``path``, or another one than was ``opened``.
    """
    try:
        same = identity(path) == opened
    except OSError as error:
        raise RegistryUnavailable(f"cannot use {path}: {error.strerror}; {RESTART}") from error
    if not same:
        raise RegistryUnavailable(f"{path} is another file than this process has opened; {RESTART}")


# Rows of versions come back from their folders then; jobs that only the lost file knew do not.
RESTART = "put it back, or restart this process"


def require_intact(path: Path) -> None:
    """Look at every page of a database as a process that opens it now would see it.

    Raises:
        RegistryUnavailable: it is damaged, or somebody holds its lock.
    """
    with available(path), closing(connect(path)) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({found})")
        connection.execute("SELECT 1 FROM model_version, alias LIMIT 1")  # an empty file is an intact database


@contextmanager
def available(path: Path) -> Iterator[None]:
    """Use the database at ``path``.

    Raises:
        StorageFull: there is no room to write.
        RegistryUnavailable: the disk or SQLite refuses for another reason.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise refused(path, error) from error


def refused(path: Path, error: Exception) -> AppError:
    """What to raise for an error of the disk or of SQLite."""
    reason = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    if no_room(reason):
        return StorageFull(f"cannot write to {path.parent}: {reason}; free some space on its disk and try again")
    return RegistryUnavailable(
        f"cannot use {path}: {reason}; the registry (--registry or SOBOLITE_REGISTRY) must be a writable folder with "
        f"its databases intact; a damaged {DATABASE} moved away is rebuilt from the version folders at the next start"
    )


@contextmanager
def writing(engine: sa.Engine, *, seconds: float = BUSY_SECONDS) -> Iterator[sa.Connection]:
    """A transaction that holds SQLite's one write lock from its start, and waits for it no longer than told."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _durable(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    """A commit survives a power cut, as the version folder that it names does; foreign keys hold."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _revision(connection: sa.Connection) -> object:
    """The layout of the tables, None before the first."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # a third of a second that an up-to-date registry need not spend
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
