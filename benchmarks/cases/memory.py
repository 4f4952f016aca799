"""Peak resident memory of a block over what was resident before it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.sweeps import memory


@dataclass
class Peak:
    """Bytes above what was resident at the start; None where the system does not say."""

    bytes: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """The largest resident set inside the block over the one before it."""
    found = Peak()
    gc.collect()
    _give_back()
    memory.reset_peak()
    before = memory.resident()
    yield found
    after = memory.peak()
    if before is not None and after is not None:
        found.bytes = max(0, after - before)


def _give_back() -> None:
    """Return freed memory to the system, so that what the block needs shows (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
