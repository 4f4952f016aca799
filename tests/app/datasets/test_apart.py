from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.datasets.apart import read_apart, understood
from app.datasets.table import Limits
from app.errors import InvalidRequest, TooLarge

LIMITS = Limits(rows=1 << 20, size=1 << 28, seconds=20.0)


def test_the_table_is_the_files(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50.0)
    np.savez(tmp_path / "a.npz", x=x, y=y, dydx=2.0 * x, weight=y + 1.0)
    table = read_apart(tmp_path / "a.npz", LIMITS)
    assert table.names == ("x[0]", "x[1]", "x[2]")
    for found, right in zip((table.x, table.y, table.dydx, table.weight), (x, y, 2.0 * x, y + 1.0), strict=True):
        assert found is not None
        np.testing.assert_array_equal(found, right)


def test_a_refusal_keeps_its_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,\n")
    with pytest.raises(InvalidRequest, match="line 3, column y: need a number") as caught:
        read_apart(tmp_path / "a.csv", LIMITS)
    assert caught.value.fields == {"path": "line 3.y"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read .*: No such file"):
        read_apart(tmp_path / "none.csv", LIMITS)


def test_memory_is_limited(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((1 << 20, 16)), y=np.arange(float(1 << 20)))
    with pytest.raises(TooLarge, match=r"more than \d+ bytes of memory .*read_memory"):
        read_apart(tmp_path / "zeros.npz", LIMITS._replace(memory=64 << 20))


def test_time_is_limited(tmp_path: Path) -> None:
    """Two gigabytes of zeros in two megabytes: unpacking them takes longer than a second."""
    with (
        zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 28,)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(128):
            file.write(bytes(1 << 24))
    began = time.monotonic()
    with pytest.raises(InvalidRequest, match=r"takes more than 0\.5 s to read"):
        read_apart(tmp_path / "long.npz", Limits(rows=1 << 40, size=1 << 40, seconds=0.5, memory=1 << 33))
    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-signal.SIGABRT, r"reading it ended the process that did \(SIGABRT\)"),
        (-signal.SIGSEGV, "SIGSEGV"),
        (-signal.SIGXCPU, "takes more than 20 s to read"),
        (-signal.SIGKILL, "takes more than 20 s to read"),
        (1, "exit code 1"),
    ],
)
def test_a_reader_that_dies_is_a_damaged_file(code: int, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        understood(code, b"", LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_reader_dies_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed while its reader waits on a pipe that nobody fills."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = (
        "import sys; from pathlib import Path; from app.datasets.apart import read_apart; "
        "from app.datasets.table import Limits; "
        "read_apart(Path(sys.argv[1]), Limits(rows=1, size=1, seconds=60.0))"
    )
    parent = subprocess.Popen([sys.executable, "-c", text, str(fifo)])

    def readers() -> list[Path]:
        """Processes that have the pipe's name on their command line, but the parent."""
        found = []
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().split(b"\0")
            except OSError:
                continue  # it ended
            if str(fifo).encode() in words and b"app.datasets.reader" in words:
                found.append(line)
        return found

    deadline = time.monotonic() + 20.0
    while not readers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert readers()
    time.sleep(1.0)  # until it has asked to die with its parent
    parent.kill()
    parent.wait()
    while readers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not readers()
