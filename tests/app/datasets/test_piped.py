from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from app.datasets.piped import regular
from app.datasets.table import Limits
from app.errors import InvalidRequest, TooLarge

LIMITS = Limits(rows=10, size=1000)


def test_a_file_is_itself_and_a_pipe_is_copied(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 2000)
    with regular(file, LIMITS) as same:
        assert same == file
    for size in (1000, 1001):
        pipe = tmp_path / f"pipe{size}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * size,))
        writer.start()
        if size > LIMITS.size:
            with pytest.raises(TooLarge, match="more than 1000 bytes"), regular(pipe, LIMITS):
                pass
        else:
            with regular(pipe, LIMITS) as copy:
                assert copy.read_bytes() == b"x" * size
            assert not copy.exists()
        writer.join()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(InvalidRequest, match="cannot read"), regular(path, LIMITS):
            pass
