"""``sobolite serve`` and ``sobolite worker``: the long-running processes.

What they alone need of this package is imported when they run: the other commands need not wait for it.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from typing import Annotated

import structlog
import typer
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.commands.terminal import RegistryOption, open_registry, read_settings
from app.errors import Unavailable
from app.inference.predictor import execution_providers
from app.jobs.queue import open_database
from app.settings import Settings

# A worker that keeps dying is started again after 1, 2, 4, ... seconds, at most half a minute.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A worker that lived this long was healthy: the next pause is the first one again.
HEALTHY_SECONDS = 60.0
# A worker leaves its job to the next one and goes; one that has not gone by then is killed.
STOP_SECONDS = 10.0

# Addresses that stand for all of a machine's.
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104

log = structlog.get_logger()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="API processes.")] = 1,
    registry: RegistryOption = None,
    worker: Annotated[bool, typer.Option(help="Also run a job worker process.")] = True,
) -> None:
    """Serve the API and, unless --no-worker, run jobs."""
    settings = read_settings(registry)
    if worker:
        from app.jobs.worker import require_training

        require_training()
    check(settings)
    if not loopback(host):
        require_token(settings, host)
    listener = listen(host, port)
    # uvicorn raises the signal that stopped it once more when it has drained; this process still has a worker to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    config = uvicorn.Config("app.main:create_app", factory=True, workers=workers, log_config=None, server_header=False)
    with job_worker() if worker else nullcontext():
        run_api(config, listener)


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_token(settings: Settings, host: str) -> None:
    """See that the server's processes have a token and know the name by which other machines reach it."""
    if settings.token is None:
        os.environ["SOBOLITE_TOKEN"] = token = secrets.token_urlsafe(32)
        typer.echo(f"token for this run, as none is set in SOBOLITE_TOKEN: {token}")
    if host not in EVERYWHERE:
        name = f"[{host}]" if ":" in host else host.lower()
        os.environ["SOBOLITE_HOSTS"] = ",".join((*settings.hosts, name))


def check(settings: Settings) -> None:
    """Start nothing that could not serve.

    Raises:
        Unavailable: the registry, its job database or the execution provider.
        CorruptArtifact: a bundled model.
    """
    from app.telemetry import configure_logging

    configure_logging(settings.log_level)
    execution_providers(settings.provider)
    open_registry(settings).close()
    open_database(settings.registry)


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on.

    Raises:
        Unavailable: the port is taken.
        OSError: the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Unavailable(f"port {port} is in use; give --port") from error
    log.info("listening", host=host, port=listener.getsockname()[1])
    return listener


def run_api(config: uvicorn.Config, listener: socket.socket) -> None:
    """Answer requests until SIGTERM or SIGINT; requests in flight are answered first.

    Raises:
        typer.Exit: the API did not start; the log says why.
    """
    if config.workers == 1:
        try:
            uvicorn.Server(config).run([listener])
        except SystemExit as stop:  # with an exit code that is none of ours
            raise typer.Exit(1) from stop
        return
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise typer.Exit(1)


def work(registry: RegistryOption = None) -> None:
    """Run jobs, without an API."""
    from app.jobs.worker import run

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
        child = subprocess.Popen([sys.executable, "-P", "-m", "app.jobs.worker"], stdin=subprocess.PIPE)
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
