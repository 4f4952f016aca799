from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from app.registry.database import HEAD, METADATA, MIGRATIONS, VERSIONS, open_database, writing


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_migrations_make_the_tables(tmp_path: Path) -> None:
    with open_database(tmp_path).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    row = {"name": "a", "version": 1, "job_id": "job", "sha256": "0", "published": "now"}

    def insert_twice() -> None:
        with writing(engine) as connection:
            for _ in range(2):
                connection.execute(VERSIONS.insert().values(row))

    with pytest.raises(IntegrityError):
        insert_twice()
    with writing(engine) as connection:
        assert connection.execute(VERSIONS.select()).all() == []
        connection.execute(VERSIONS.insert().values(row))
    with engine.connect() as connection:
        assert len(connection.execute(VERSIONS.select()).all()) == 1
