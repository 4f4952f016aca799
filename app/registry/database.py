"""The registry's metadata in SQLite: tables, opening under a migration lock, and write transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock

from app.errors import RegistryUnavailable

DATABASE = "registry.sqlite"
# The newest migration in `app/migrations/versions`; a test holds the two equal.
HEAD = "0001"
# Seconds that a writer waits for another one; a publish holds the lock for some milliseconds.
BUSY_SECONDS = 30
MIGRATIONS = Path(__file__).parent / "migrations"

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


def open_database(root: Path) -> sa.Engine:
    """An engine on the up-to-date database of the registry at ``root``, made where missing."""
    engine = sa.create_engine(
        f"sqlite:///{root / DATABASE}", isolation_level="AUTOCOMMIT", connect_args={"timeout": BUSY_SECONDS}
    )
    sa.event.listen(engine, "connect", _durable)
    # SQLite does not serialise schema changes of several starters by itself.
    with FileLock(root / f"{DATABASE}.lock"), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if not sa.inspect(connection).has_table("alembic_version") or _revision(connection) != HEAD:
            _upgrade(engine)
    return engine


@contextmanager
def available(path: Path) -> Iterator[None]:
    """Use the database at ``path``.

    Raises:
        RegistryUnavailable: the disk or SQLite refuses.
    """
    try:
        yield
    except (OSError, sqlite3.Error, sa.exc.DBAPIError) as error:
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise RegistryUnavailable(
            f"cannot use {path}: {reason}; the registry (--registry or SOBOLITE_REGISTRY) must be a writable folder "
            "with its databases intact"
        ) from error


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that holds SQLite's one write lock from its start."""
    with engine.connect() as connection:
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
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # a third of a second that an up-to-date registry need not spend
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
