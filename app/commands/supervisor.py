"""Child processes that are kept running, and stopped in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from uvicorn.config import STARTUP_FAILURE

# A child that keeps dying is started again after 1, 2, 4, ... seconds, at most half a minute.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A child that lived this long was healthy: the next pause is the first one again.
HEALTHY_SECONDS = 60.0
# So many deaths in a row are no accident: whoever looks for errors hears of them.
MANY_DEATHS = 3
TICK_SECONDS = 0.1
# glibc gives every busy thread an arena of its own, whose freed pieces stay: threads that come and go grow a process
# that lives for weeks. Whoever sets it outside is believed.
ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}

# What a child hears on its stdin when it is to stop.
STOP = b"."

log = structlog.get_logger()


@dataclass(kw_only=True)
class Child:
    """A process that is started again whenever it dies.

    It stops when its stdin ends, so that it outlives this process in no way of dying.

    Args:
        role: what logs call it.
        command: modules and arguments after the interpreter.
        descriptors: open files that it is given.
        essential: whether nothing else is worth running when it cannot start.
    """

    role: str
    command: Sequence[str]
    descriptors: tuple[int, ...] = ()
    essential: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    again: float = field(default=0.0)
    deaths: int = 0

    def start(self) -> None:
        """In a session of its own: what a terminal says to all of a group reaches this process alone."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 (a command of ours)
            [sys.executable, "-P", *self.command],
            stdin=subprocess.PIPE,
            pass_fds=self.descriptors,
            start_new_session=True,
            env=ALLOCATOR | os.environ,
        )

    def ended(self) -> bool:
        """Whether it does not run."""
        return self.process is None or self.process.poll() is not None

    def look(self, now: float) -> bool:
        """Start it where it is due; False where it cannot be started and is essential."""
        if self.process is not None and self.ended():
            code = self._bury()
            if self.essential and code == STARTUP_FAILURE:
                return False
            if now - self.started > HEALTHY_SECONDS:
                self.pause, self.deaths = FIRST_PAUSE_SECONDS, 0
            self.deaths += 1
            tell = log.error if self.deaths >= MANY_DEATHS else log.warning
            died = {"exit_code": code, "after_seconds": self.pause, "deaths_in_a_row": self.deaths}
            tell(f"the {self.role} died and is started again", **died)
            self.again = now + self.pause
            self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS)
        if self.process is None and now >= self.again:
            self.start()
        return True

    def ask_to_stop(self) -> None:
        """Say it, and keep the pipe open: a child that reads its end takes this process for dead."""
        if self.process is None or self.process.stdin is None:
            return
        with suppress(BrokenPipeError):  # it is gone already
            self.process.stdin.write(STOP)
            self.process.stdin.flush()

    def kill(self) -> None:
        """End it for certain."""
        if self.process is not None:
            self.process.kill()
            self._bury()

    def _bury(self) -> int:
        assert self.process is not None
        assert self.process.stdin is not None
        code = self.process.wait()
        with suppress(BrokenPipeError):  # what it was told last and never read
            self.process.stdin.close()
        self.process = None
        return code


class Signals:
    """SIGTERM and SIGINT from now on: the first asks to stop, a second SIGINT to stop at once."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.at_once = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heard)

    def _heard(self, number: int, _: object) -> None:
        self.at_once = self.at_once or (self.stop.is_set() and number == signal.SIGINT)
        self.stop.set()


def keep(children: Iterable[Child], signals: Signals, *, stop_seconds: float) -> bool:
    """Keep all running until a signal, then stop all, killing those that are left after ``stop_seconds``.

    Returns:
        False if an essential one did not start; its log says why.
    """
    kept, fine = list(children), True
    while fine and not signals.stop.wait(TICK_SECONDS):
        looked = [child.look(time.monotonic()) for child in kept]  # at every one, also behind one that fails
        fine = all(looked)
    end = time.monotonic() + (stop_seconds if fine else 0.0)
    for child in kept:
        child.ask_to_stop()
    while not all(child.ended() for child in kept) and time.monotonic() < end and not signals.at_once:
        time.sleep(TICK_SECONDS / 2)
    for child in kept:
        if not child.ended():
            log.warning(f"the {child.role} is killed", after_seconds=stop_seconds)
        child.kill()
    return fine
