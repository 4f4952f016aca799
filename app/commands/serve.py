"""``sobolite serve`` and ``sobolite worker``: the long-running processes.

What they alone need of this package is imported when they run: the other commands need not wait for it.
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

import structlog
import typer

from app.commands.supervisor import Child, Signals, keep
from app.commands.terminal import RegistryOption, open_registry, read_settings
from app.errors import Unavailable
from app.inference.predictor import execution_providers
from app.jobs.database import open_database
from app.jobs.lease import bury, lease
from app.settings import Settings
from app.telemetry import SHARED

# Before the end of the grace what has not ended is killed, so that all is over then: seconds, and at most this share.
KILL_SECONDS, KILL_SHARE = 0.3, 0.1
API = ("-m", "app.api")

# How the API processes are told the path that they are mounted at.
ROOT_PATH_NAME = "SOBOLITE_ROOT_PATH"

# How folders of metrics begin.
METRICS = "sobolite-metrics-"
# Addresses that stand for all of a machine's.
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104

log = structlog.get_logger()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="API processes.")] = 1,
    registry: RegistryOption = None,
    worker: Annotated[bool, typer.Option(help="Also run a job worker process.")] = True,
    root_path: Annotated[str, typer.Option(help="Prefix that a proxy takes off the path, as /sobolite.")] = "",
) -> None:
    """Serve the API and, unless --no-worker, run jobs."""
    if root_path:
        os.environ[ROOT_PATH_NAME] = root_path
    settings = read_settings(registry)
    if worker:
        from app.jobs.worker import require_training

        require_training()
    check(settings)
    if not loopback(host):
        require_token(settings, host)
    allow_connections()
    signals = Signals()  # before anybody can have connected
    sweep_metrics()
    with shared_metrics() if workers > 1 else nullcontext():
        run_api(API, listen(host, port), settings, signals, workers=workers, worker=worker)


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


def run_api(
    api: Sequence[str], listener: socket.socket, settings: Settings, signals: Signals, *, workers: int, worker: bool
) -> None:
    """Keep API processes and a job worker running until SIGTERM or SIGINT; requests in flight are answered first.

    Raises:
        typer.Exit: the API did not start; the log says why.
    """
    descriptor = listener.fileno()
    one = Child(role="API process", command=[*api, str(descriptor)], descriptors=(descriptor,), essential=True)
    children = [replace(one) for _ in range(workers)]
    if worker:
        children.append(Child(role="worker", command=["-m", "app.jobs.worker"]))
    grace = settings.grace_seconds - min(KILL_SECONDS, KILL_SHARE * settings.grace_seconds)
    fine = keep(children, signals, stop_seconds=settings.drain_seconds + grace)
    listener.close()
    if not fine:
        raise typer.Exit(1)


def allow_connections() -> None:
    """As many open files as this process may have: the usual 1,024 are less than the connections of a busy server."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def work(registry: RegistryOption = None) -> None:
    """Run jobs, without an API."""
    from app.jobs.worker import run

    run(read_settings(registry))


@contextmanager
def shared_metrics() -> Iterator[None]:
    """A folder in which the API processes started meanwhile keep their metrics, so that each answers for all.

    A lock beside it, taken before the folder is made, tells later starts that it is in use.
    """
    name, parent = f"{METRICS}{secrets.token_hex(8)}", Path(gettempdir())
    folder = parent / name
    with lease(parent, name):
        folder.mkdir(mode=0o700)
        os.environ[SHARED] = str(folder)
        try:
            yield
        finally:
            del os.environ[SHARED]
            shutil.rmtree(folder, ignore_errors=True)
            (parent / f"{name}.lock").unlink(missing_ok=True)


def sweep_metrics() -> None:
    """Remove the metrics of services that were killed."""
    parent = Path(gettempdir())
    for lock in parent.glob(f"{METRICS}*.lock"):
        with suppress(OSError):  # another user's
            bury(parent, lock.stem, lambda name: shutil.rmtree(parent / name, ignore_errors=True))
