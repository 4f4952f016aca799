"""Which workers are alive, and what becomes of the jobs of a dead one.

A worker holds a lock on a file named after it; the kernel frees the lock when the process dies, however it dies.
Whoever gets the lock of another worker has proof of its death and puts that worker's jobs back into the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout


def lease(folder: Path, worker: str) -> FileLock:
    """The lock of a worker, not yet taken."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{worker}.lock")


def bury(folder: Path, worker: str, requeue: Callable[[str], None]) -> bool:
    """If the worker is dead, call ``requeue(worker)`` and remove its lock, so that one witness acts at a time.

    Returns:
        whether it was dead.
    """
    lock = lease(folder, worker)
    try:
        with lock.acquire(blocking=False):
            requeue(worker)
            (folder / f"{worker}.lock").unlink(missing_ok=True)  # whoever opened it meanwhile finds out and tries again
            return True
    except Timeout:
        return False


def alive(folder: Path) -> int:
    """How many workers hold their lock."""
    return sum(_is_held(path) for path in folder.glob("*.lock"))


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path).acquire(blocking=False):
            return False
    except Timeout:
        return True
