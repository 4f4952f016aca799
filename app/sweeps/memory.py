"""Peak resident memory of this process, where the kernel tells it (Linux)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Written to RESET, it sets the peak back to what is resident now (man proc_pid_clear_refs).
RESET_PEAK = "5"


def reset_peak() -> None:
    """Set the peak back to what is resident now."""
    with suppress(OSError):
        RESET.write_text(RESET_PEAK)


def peak() -> int | None:
    """The most that was resident since `reset_peak`, bytes; None where the system does not say."""
    return _read("VmHWM:")


def resident() -> int | None:
    """What is resident now, bytes; None where the system does not say."""
    return _read("VmRSS:")


def _read(name: str) -> int | None:
    """A line of the status file, which counts in KiB."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), None)
