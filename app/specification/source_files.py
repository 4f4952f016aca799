"""A client's file: opened without waiting for what never comes, and called by its name where it is of another kind."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidRequest

STDIN = Path("-")
# Seconds within which a process must have opened a pipe to write into it.
PATIENCE_SECONDS = 5.0
# Bytes of a start that tell what a file is.
START = 64
SPECIAL = ((stat.S_ISDIR, "a directory"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a disk"))
KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x1f\x8b"), "compressed by gzip: unpack it"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "compressed by zstd: unpack it"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "compressed by bzip2: unpack it"),
    (re.compile(rb"\xfd7zXZ\x00"), "compressed by xz: unpack it"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive: unpack it"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "a ZIP archive, as NPZ and Excel workbooks are"),
    (re.compile(rb"PAR1[\x00-\x1f]"), "Parquet"),
    (re.compile(rb"\x93NUMPY"), "a single array (.npy)"),
    (re.compile(rb"ARROW1\x00|FEA1\x00"), "Arrow or Feather"),
    (re.compile(rb"\xff\xff\xff\xff"), "an Arrow stream"),
    (re.compile(rb"\x89HDF"), "HDF5"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an Excel workbook of the old kind (.xls)"),
    (re.compile(rb"\x89PNG"), "a PNG picture"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG picture"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"SQLite format 3\x00"), "an SQLite database"),
    (re.compile(rb"\x80[\x02-\x05]"), "a pickle, which is never read"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "text in UTF-16"),
    (re.compile(rb"\s*[{\[]"), "JSON"),
    (re.compile(rb"\s*<"), "HTML or XML"),
)


def other_kind(start: bytes) -> str | None:
    r"""What a file is by its first bytes, where that is no CSV text; None where they do not tell.

    >>> other_kind(b"x0,y")
    >>> other_kind(b"x\x000\x00,\x00y\x00")
    'text in UTF-16'
    """
    for mark, kind in KINDS:
        if mark.match(start):
            return kind
    if len(start) > 3 and b"\x00" in start and not (any(start[::2]) and any(start[1::2])):
        return "text in UTF-16"
    return None


def open_source(path: Path) -> AbstractContextManager[BinaryIO]:
    """A file, a pipe or, as ``-``, standard input.

    Raises:
        InvalidRequest: it cannot be opened, is a device or directory, or a pipe that nobody writes into.
    """
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        # A pipe is opened without waiting for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        what = next((name for is_it, name in SPECIAL if is_it(mode)), None)
        if what and not os.isatty(descriptor):
            raise InvalidRequest(f"cannot read {path}: it is {what}; give a file or a pipe")
        if stat.S_ISFIFO(mode):
            require_writer(descriptor, path)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_writer(descriptor: int, path: Path) -> None:
    """Raise InvalidRequest for a pipe, opened without blocking, that no process has opened to write into."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    if waiting.poll(1000 * PATIENCE_SECONDS):
        return
    try:
        os.read(descriptor, 1)
    except BlockingIOError:  # there is a writer, who takes his time
        return
    raise InvalidRequest(
        f"cannot read {path}: no process wrote into this pipe within {PATIENCE_SECONDS:g} s; start the one that does, "
        "then this one, or give a file"
    )
