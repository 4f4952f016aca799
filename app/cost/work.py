"""Parts of a job with what they take, and their sum. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Bytes of a float64.
FLOAT = 8
# What counts are cut off at: beyond any limit, and far from where floating point ends. What sums are told as at most:
# JSON's readers have 64 bits.
LARGEST, MOST_TOLD = 1e30, 1e18
# Of a step's process before it does anything: torch and its libraries, read and resident.
START_SECONDS, START_MEMORY = 2.0, 330 << 20
# Of a job's folder and of a version, but for labels and networks.
START_DISK = 1 << 20
# What a person reads, from the largest unit on.
TIMES = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (0.0, "seconds"))
SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (0.0, "MiB"))
SMALLEST = {"seconds": 1.0, "MiB": 2.0**20}
MOST_SAID = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """A part of a step.

    Args:
        seconds: of one core.
        memory: bytes at its peak, beside the libraries'.
        disk: bytes that it leaves.
    """

    seconds: float
    memory: float = 0.0
    disk: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job will take, within a factor of about three for what examples and benchmarks do.

    Args:
        seconds: of one core, over all steps.
        memory_bytes: at the peak of the largest step.
        disk_bytes: of the job's folder and of what it publishes.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def size(count: float) -> float:
    """A count of any length as a float that sums and products of a few dozen of them survive.

    >>> size(3), size(10**400)
    (3.0, 1e+30)
    """
    return float(min(count, LARGEST))


def total(parts: Iterable[Work], *, processes: int) -> Estimate:
    """The sum of the parts, each step in a process of its own."""
    works = list(parts)
    return Estimate(
        seconds=round(min(sum(work.seconds for work in works) + processes * START_SECONDS, MOST_TOLD), 1),
        memory_bytes=int(min(max(work.memory for work in works) + START_MEMORY, MOST_TOLD)),
        disk_bytes=int(min(sum(work.disk for work in works) + START_DISK, MOST_TOLD)),
    )


def in_words(estimate: Estimate) -> str:
    """The estimate as people say it.

    >>> in_words(Estimate(seconds=95.0, memory_bytes=3 << 30, disk_bytes=1 << 20))
    '1.6 minutes, 3 GiB of memory and 1 MiB of disk'
    """
    memory, disk = said(estimate.memory_bytes, SIZES), said(estimate.disk_bytes, SIZES)
    return f"{said(estimate.seconds, TIMES)}, {memory} of memory and {disk} of disk"


def said(amount: float, units: tuple[tuple[float, str], ...]) -> str:
    """Two digits or whole units.

    >>> said(7260.0, TIMES), said(1.0, TIMES), said(1.5e9, SIZES), said(3e12, TIMES)
    ('2 hours', '1 seconds', '1.4 GiB', 'more than 1,000,000 days')
    """
    scale, unit = next((scale, unit) for scale, unit in units if amount >= scale)
    number = amount / (scale or SMALLEST[unit])
    if number > MOST_SAID:
        return f"more than {MOST_SAID:,} {unit}"
    return f"{number:,.0f} {unit}" if number >= 10.0 else f"{number:.2g} {unit}"
