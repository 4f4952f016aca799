"""How many processors this process may use: those it is bound to, and no more than its control group's quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def processors(groups: Path = PROC, root: Path = CGROUPS) -> int:
    """At least one; a quota of a share of a processor is rounded up.

    Args:
        groups: what the kernel says of the groups of this process.
        root: where their files are.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, *(math.ceil(quota) for quota in quotas(groups, root)), bound))


def quotas(groups: Path, root: Path) -> Iterator[float]:
    """Processors that each group from this process's own up to the root may use, where it is limited."""
    for line in _text(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if not folder.is_relative_to(top):
                break
            yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    """Version 2 has quota and period in one file, version 1 in two; ``max`` and -1 are no limit."""
    numbers = _text(folder / "cpu.max").split() or [
        _text(folder / "cpu.cfs_quota_us").strip(),
        _text(folder / "cpu.cfs_period_us").strip(),
    ]
    if all(number.isdigit() for number in numbers) and int(numbers[1]):
        yield int(numbers[0]) / int(numbers[1])


def _text(path: Path) -> str:
    """What a file says, nothing where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
