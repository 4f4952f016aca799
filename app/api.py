"""One API process: ``python -P -m app.api LISTENER``, a number of an open socket.

`app.commands.serve` starts it.

It stops when its stdin says so or ends: the process that started it has then died, and nobody waits for a drain.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time

from app.http.server import Server
from app.http.shutdown import Drain
from app.jobs.uncaught import log_uncaught
from app.main import create_app
from app.settings import Settings
from app.telemetry import take_lines_of_libraries

# After the parent's death: for requests in flight. Then this process ends, whatever it does.
ORPHAN_SECONDS = 2.0


def follow(server: Server, drain: Drain, settings: Settings) -> None:
    """Stop with the parent process, at the latest when drain and grace are over. Runs in a thread of its own."""
    asked = os.read(0, 1)
    server.last = True
    if not asked:
        drain.seconds = 0.0
    os.kill(os.getpid(), signal.SIGTERM)
    if asked:
        select.select([0], [], [], settings.drain_seconds + settings.grace_seconds)
    time.sleep(ORPHAN_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve on the listener that the command line names."""
    settings, listener = Settings(), socket.socket(fileno=int(sys.argv[1]))
    take_lines_of_libraries()
    app = create_app(settings)
    log_uncaught()
    server = Server(app, settings)

    def stop(*_: object) -> None:  # before uvicorn listens to signals, and when it raises them anew after its stop
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.last = False  # until the parent says that all stop
    threading.Thread(target=follow, args=(server, app.state.drain, settings), daemon=True).start()
    server.run([listener])


if __name__ == "__main__":
    main()
