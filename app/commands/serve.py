"""``sobolite serve`` and ``sobolite worker``: the long-running processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer
import uvicorn

from app.commands.terminal import RegistryOption, read_settings

# A worker that keeps dying is started again after 1, 2, 4, ... seconds, at most half a minute.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A worker that lived this long was healthy: the next pause is the first one again.
HEALTHY_SECONDS = 60.0
# A worker leaves its job to the next one and goes; one that has not gone by then is killed.
STOP_SECONDS = 10.0

log = structlog.get_logger()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="API processes.")] = 1,
    registry: RegistryOption = None,
    worker: Annotated[bool, typer.Option(help="Also run a job worker process.")] = True,
) -> None:
    """Serve the API and, unless --no-worker, run jobs."""
    read_settings(registry)
    # uvicorn raises the signal that stopped it once more when it has drained; this process still has a worker to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    if not worker:
        run_api(host, port, workers)
        return
    with job_worker():
        run_api(host, port, workers)


def run_api(host: str, port: int, workers: int) -> None:
    """Answer requests until SIGTERM or SIGINT; requests in flight are answered first."""
    uvicorn.run("app.main:create_app", factory=True, host=host, port=port, workers=workers, log_config=None)


def work(registry: RegistryOption = None) -> None:
    """Run jobs, without an API."""
    from app.worker import run

    run(read_settings(registry))


@contextmanager
def job_worker() -> Iterator[None]:
    """Keep one worker process running for the length of the block."""
    stop = threading.Event()
    keeper = threading.Thread(target=keep_alive, args=(stop,))
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def keep_alive(stop: threading.Event) -> None:
    """Start a worker, and another whenever it dies, until ``stop``."""
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        started = time.monotonic()
        # The worker stops when its stdin ends, so it outlives this process in no way of dying.
        child = subprocess.Popen([sys.executable, "-P", "-m", "app.worker"], stdin=subprocess.PIPE)
        while child.poll() is None and not stop.wait(FIRST_PAUSE_SECONDS / 10):
            pass
        if stop.is_set():
            end(child)
            return
        pause = FIRST_PAUSE_SECONDS if time.monotonic() - started > HEALTHY_SECONDS else pause
        log.warning("the worker died and is started again", exit_code=child.returncode, after_seconds=pause)
        stop.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a worker to stop, and see that it does."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
