"""A client's file as one that another process can open: a pipe is copied. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.datasets.table import Limits
from app.errors import TooLarge
from app.specification.source_files import STDIN, open_source

# Bytes that are copied at once.
CHUNK = 1 << 20


@contextmanager
def regular(path: Path, limits: Limits) -> Iterator[Path]:
    """The file itself, or for the block a copy of what comes through a pipe or, as ``-``, standard input.

    Raises:
        InvalidRequest: it cannot be read.
        TooLarge: more comes through than a dataset's file may have.
    """
    if path != STDIN and path.is_file():
        yield path
        return
    with NamedTemporaryFile() as copy:
        with open_source(path) as source:
            while chunk := source.read(CHUNK):
                if copy.tell() + len(chunk) > limits.size:
                    raise TooLarge(f"{path} holds more than {limits.size} bytes, the limit (dataset_bytes)")
                copy.write(chunk)
        copy.flush()
        yield Path(copy.name)
