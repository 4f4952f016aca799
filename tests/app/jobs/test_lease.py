from __future__ import annotations

from pathlib import Path

from app.jobs.lease import bury, lease


def test_only_the_dead_are_buried(tmp_path: Path) -> None:
    buried: list[str] = []
    with lease(tmp_path, "alive"):
        assert not bury(tmp_path, "alive", buried.append)
    assert bury(tmp_path, "dead", buried.append)
    assert buried == ["dead"]
    assert [lock.stem for lock in tmp_path.iterdir()] == ["alive"]
