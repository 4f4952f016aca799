from __future__ import annotations

from pathlib import Path

from app.jobs import reserve


def test_room_is_kept_once_and_let_go(tmp_path: Path) -> None:
    reserve.release(tmp_path)
    for _ in range(2):
        reserve.keep(tmp_path)
        (kept,) = tmp_path.iterdir()
        assert kept.stat().st_size == reserve.RESERVE_BYTES
        assert kept.stat().st_blocks * 512 >= reserve.RESERVE_BYTES
    reserve.release(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_room_none_is_kept(tmp_path: Path) -> None:
    reserve.keep(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
