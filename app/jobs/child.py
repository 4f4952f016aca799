"""One pipeline step in its own process: ``python -P -m app.jobs.child FOLDER STEP``.

The worker stays responsive, and the step can be stopped at once. On stdout, one JSON object a line:
``{"progress": share}`` while it runs, with ``"losses"`` where a training was measured since the last, then
``{"result": ...}`` or ``{"error": sentence}``. End of file on stdin means that the worker is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from app.errors import EXPECTED
from app.jobs.uncaught import log_uncaught
from app.pipeline.folder import JobFolder
from app.telemetry import configure_logging, take_lines_of_libraries
from surrogate.report.curves import LossPoint

# Below the API and everything else that somebody waits for.
NICENESS = 10
# Least time between two progress lines: each becomes a row in the job's stream.
PROGRESS_INTERVAL_SECONDS = 0.25
# The worker's death is not the step's failure: nobody reads this code.
PARENT_GONE = 3
# What torch says, in a RuntimeError, where the system refuses it memory.
ALLOCATION = "can't allocate memory"


def die_with_parent() -> None:
    """Exit when stdin ends, with all that the step has started. A plain read: a buffered one would abort the exit."""
    while os.read(0, 1):
        pass
    if os.getpgrp() == os.getpid():  # as the worker starts it, in a session of its own
        os.killpg(0, signal.SIGKILL)
    os._exit(PARENT_GONE)


def say(**message: Any) -> None:
    """One protocol line to the worker."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Reporter:
    """Says progress, not more often than the interval, and with it the last losses that it has heard."""

    def __init__(self) -> None:
        self._last = 0.0
        self._losses: LossPoint | None = None

    def report(self, share: float) -> None:
        """The share of the step that is done."""
        now = time.monotonic()
        if now - self._last < PROGRESS_INTERVAL_SECONDS:
            return
        self._last = now
        self._say(share)

    def hear(self, losses: LossPoint) -> None:
        """Where a training stands."""
        self._losses = losses

    def end(self) -> None:
        """Say the losses that the interval has held back: where the training ended."""
        if self._losses is not None:
            self._say(1.0)

    def _say(self, share: float) -> None:
        losses, self._losses = self._losses, None
        say(progress=share, **({} if losses is None else {"losses": msgspec.to_builtins(losses)}))


def log_note(step: str, sentence: str) -> None:
    """What a step takes, for the worker's log."""
    structlog.get_logger().info("what a step takes", step=step, takes=sentence)


def reason(step: str, error: Exception) -> str:
    """What is said of a failure that nobody foresaw.

    >>> reason("label", MemoryError("40 GiB"))
    'step label: the system gave it no more memory (40 GiB); lower what the job asks for'
    """
    if isinstance(error, MemoryError) or ALLOCATION in str(error):
        return f"step {step}: the system gave it no more memory ({error}); lower what the job asks for"
    return f"internal error in step {step}: {type(error).__name__}: {error}"


def main() -> int:
    """Run the step that the command line names."""
    # A terminal's or a service manager's signal reaches the whole group; only the worker decides when a step stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    threading.Thread(target=die_with_parent, daemon=True).start()
    configure_logging("info")
    take_lines_of_libraries()
    log_uncaught()
    folder, step, reporter = JobFolder(Path(sys.argv[1])), sys.argv[2], Reporter()
    try:
        from app.pipeline.steps import (
            run_step,  # imports torch: a second in which the worker may already stop this process
        )

        result = run_step(step, folder, reporter.report, reporter.hear, partial(log_note, step))
        reporter.end()
        say(result=msgspec.to_builtins(result))
    except EXPECTED as error:
        say(error=str(error))
        return 1
    except Exception as error:  # noqa: BLE001 (the process boundary: the worker gets a sentence, its log the traceback)
        structlog.get_logger().exception("step failed for a reason that nobody foresaw", step=step)
        say(error=reason(step, error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
