"""What nobody has caught, as a line of the log like every other."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

import structlog

from app.errors import EXPECTED

log = structlog.get_logger()


def log_uncaught() -> None:
    """From now on log what ends this process or one of its threads: a sentence if it says all, else a traceback too."""

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        tell("process died", kind, error, trace)

    def of_thread(given: threading.ExceptHookArgs) -> None:
        thread = given.thread.name if given.thread is not None else "unknown"
        tell("thread died", given.exc_type, given.exc_value, given.exc_traceback, thread=thread)

    sys.excepthook = of_process
    threading.excepthook = of_thread


def tell(
    event: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None, **more: str
) -> None:
    """Log an exception."""
    if not isinstance(error, EXPECTED) and error is not None:
        more["exception"] = "".join(traceback.format_exception(kind, error, trace))
    log.critical(event, reason=str(error) or kind.__name__, **more)
