"""One pipeline step in its own process: ``python -P -m app.jobs.child FOLDER STEP``.

The worker stays responsive, and the step can be stopped at once. On stdout, one JSON object a line:
``{"progress": share}`` while it runs, then ``{"result": ...}`` or ``{"error": sentence}``. End of file on stdin means
that the worker is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from app.errors import EXPECTED
from app.pipeline.folder import JobFolder
from pricing.types import Progress

# Below the API and everything else that somebody waits for.
NICENESS = 10
# Least time between two progress lines: each becomes a row in the job's stream.
PROGRESS_INTERVAL_SECONDS = 0.25
# The worker's death is not the step's failure: nobody reads this code.
PARENT_GONE = 3


def die_with_parent() -> None:
    """Exit when stdin ends. A plain read: a buffered one would abort the interpreter's own exit."""
    while os.read(0, 1):
        pass
    os._exit(PARENT_GONE)


def say(**message: Any) -> None:
    """One protocol line to the worker."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def reporter() -> Progress:
    """Says progress, not more often than the interval."""
    last = 0.0

    def report(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL_SECONDS:
            last = now
            say(progress=share)

    return report


def main() -> int:
    """Run the step that the command line names."""
    # A terminal's or a service manager's signal reaches the whole group; only the worker decides when a step stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    threading.Thread(target=die_with_parent, daemon=True).start()
    folder, step = JobFolder(Path(sys.argv[1])), sys.argv[2]
    try:
        from app.pipeline.steps import (
            run_step,  # imports torch: a second in which the worker may already stop this process
        )

        say(result=msgspec.to_builtins(run_step(step, folder, reporter())))
    except EXPECTED as error:
        say(error=str(error))
        return 1
    except Exception as error:  # noqa: BLE001 (the process boundary: the worker gets a sentence, its log the traceback)
        traceback.print_exc()
        say(error=f"internal error in step {step}: {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
