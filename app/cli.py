"""What ``sobolite`` runs: the command line, whose imports take a second in which somebody may press Ctrl-C."""

from __future__ import annotations

import sys

# What a shell says of a command that SIGINT has ended.
INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script."""
    try:
        from app.commands.line import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
