from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import EXPECTED, STATUS, StorageFull, disk_full
from app.registry.database import available

# A device of Linux whose writes all fail for want of room.
FULL = Path("/dev/full")


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_what_has_a_status_is_told_in_a_sentence(kind: type[Exception]) -> None:
    assert issubclass(kind, EXPECTED)


def fill(path: Path) -> None:
    """Write to a database that may grow no more."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("INSERT INTO t SELECT hex(randomblob(100000))")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_is_told_from_other_failures_of_the_system() -> None:
    with pytest.raises(OSError, match="No space") as caught, FULL.open("wb", buffering=0) as file:
        file.write(b"x")
    told = disk_full(caught.value)
    assert told is not None
    assert "the disk is full" in str(told)
    assert disk_full(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))) is not None
    assert disk_full(OSError(errno.EACCES, os.strerror(errno.EACCES))) is None
    assert disk_full(ValueError("full")) is None
    assert disk_full(None) is None


def test_a_full_database_is_told_behind_other_errors(tmp_path: Path) -> None:
    with pytest.raises(sa.exc.OperationalError) as caught:
        fill(tmp_path / "a.sqlite")
    assert disk_full(caught.value) is not None
    with pytest.raises(StorageFull), available(tmp_path):
        fill(tmp_path / "b.sqlite")
    with closing(sqlite3.connect(tmp_path / "c.sqlite")) as database, pytest.raises(sqlite3.Error) as other:
        database.execute("SELECT nonsense")
    assert disk_full(other.value) is None
