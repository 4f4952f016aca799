"""Files that whoever reads sees whole or not at all, and JSON in them. Torch-free."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` when the block succeeds: whoever reads sees all or nothing.

    Nothing of it is left when the block fails.
    """
    # By process: a worker that lost its job may not know it yet, and its step must not write into this one's file.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: object) -> None:
    """Plain data to a file, all or nothing."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(data, sort_keys=True, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    return data
