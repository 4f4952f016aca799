"""Peak resident memory of a block, where the kernel tells it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Written to RESET, it sets the peak back to what is resident now (man proc_pid_clear_refs).
RESET_PEAK = "5"


@dataclass
class Peak:
    """Bytes above what was resident at the start; None where the system does not say."""

    bytes: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """The largest resident set inside the block over the one before it (Linux)."""
    peak, before = Peak(), None
    gc.collect()
    _give_back()
    if STATUS.exists() and RESET.exists():
        RESET.write_text(RESET_PEAK)
        before = _read("VmRSS")
    yield peak
    if before is not None:
        peak.bytes = max(0, _read("VmHWM") - before)


def _give_back() -> None:
    """Return freed memory to the system, so that what the block needs shows (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _read(name: str) -> int:
    """A line of the status file, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
