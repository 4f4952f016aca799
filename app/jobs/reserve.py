"""Room kept back on the registry's disk, so that jobs can be cancelled and deleted when it is full."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from app.files import replacing

NAME = ".reserve"
# Some cancellations and deletions: each writes a few pages of the job database.
RESERVE_BYTES = 1 << 20
# Not taken from a disk that has less than this left.
LEAST_FREE_BYTES = 4 * RESERVE_BYTES


def keep(root: Path) -> None:
    """Keep room back, if there is enough and it is not kept yet."""
    with suppress(OSError):  # there is no room, and so none to keep
        if (root / NAME).exists() or shutil.disk_usage(root).free < LEAST_FREE_BYTES:
            return
        with replacing(root / NAME) as partial, partial.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)


def release(root: Path) -> None:
    """Let what makes room have it."""
    (root / NAME).unlink(missing_ok=True)
