"""What ``sobolite`` runs: the command line, whose imports take a second in which somebody may press Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys

# What a shell says of a command that SIGINT has ended.
INTERRUPTED = 130


def leave(*_: object) -> None:
    """End at once; nothing is open while the modules are imported."""
    os.write(sys.stderr.fileno(), b"stopped\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """Entry point of the console script."""
    before = signal.getsignal(signal.SIGINT)
    # An exception raised in a weak reference's callback, which Python's import has, is printed and forgotten.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from app.commands.line import main as run

    signal.signal(signal.SIGINT, before)
    try:
        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
