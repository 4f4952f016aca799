"""`sobolite serve` as a process, raw requests and clients that load it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
# A model that comes with the package, and a row in its Box.
MODEL, ROW = "bachelier-basket-7", [1.0] * 7
PRICE = f"/v1/models/{MODEL}/price"


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and decoded answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"content-type": "application/json"})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, json.loads(data) if data else None

    def family(self) -> set[int]:
        """Process ids of it and of all that it and they have started."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(entry.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # it ended while we looked
                continue
            children.setdefault(parent, []).append(int(entry.parent.name))
        found, left = set[int](), [self.process.pid]
        while left:
            found.add(one := left.pop())
            left += children.get(one, [])
        return found

    def memory(self) -> int:
        """Bytes of memory of all its processes."""
        pages = 0
        for one in self.family():
            try:
                pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
            except OSError:  # it ended while we looked
                continue
        return pages * os.sysconf("SC_PAGE_SIZE")


def alive(process: int) -> bool:
    """Whether a process runs; one that nobody has asked for its exit code does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for a condition; the seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"waited {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - start


def launch(registry: Path, *arguments: str, **settings: object) -> Service:
    """Start it, without waiting for its first answer."""
    return _start(registry, arguments, settings, log=None)


def _start(registry: Path, arguments: Sequence[str], settings: Mapping[str, object], *, log: Path | None) -> Service:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--port", str(port), "--registry", str(registry)]
    environment = {f"SOBOLITE_{name.upper()}": str(value) for name, value in settings.items()}
    environment = (
        os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "SOBOLITE_LOG_LEVEL": "error"} | environment
    )
    with nullcontext() if log is None else log.open("ab") as lines:
        return Service(subprocess.Popen([*command, *arguments], env=environment, stderr=lines), port)


@contextmanager
def service(registry: Path, *arguments: str, **settings: object) -> Iterator[Service]:
    """A service that answers."""
    with _answering(_start(registry, arguments, settings, log=None)) as started:
        yield started


@contextmanager
def logged_service(registry: Path, log: Path, *arguments: str, **settings: object) -> Iterator[Service]:
    """A service that answers, and logs into a file."""
    with _answering(_start(registry, arguments, settings, log=log)) as started:
        yield started


@contextmanager
def _answering(started: Service) -> Iterator[Service]:
    try:
        until(lambda: listening(started.port) and started.ask("GET", "/readyz")[0] == 200)
        yield started
    finally:
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
        started.process.wait(PATIENCE_SECONDS)


def listening(port: int) -> bool:
    """Whether connections are taken."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json", *headers]
    return ("\r\n".join([*lines, f"content-length: {len(body)}"]) + "\r\n\r\n").encode() + body


def priced(rows: int = 1) -> bytes:
    """A request for prices."""
    return request(PRICE, json.dumps({"inputs": [ROW] * rows}).encode())


@dataclass
class Load:
    """Clients that ask for prices all the time, on one connection each or on a new one for each request."""

    port: int
    counts: dict[str, int] = field(default_factory=dict)
    running: bool = True

    def count(self, outcome: str) -> None:
        """One more."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1

    async def client(self, *, persistent: bool) -> None:
        """Until ``running`` ends. A request is lost if it was sent, or its connection made, and nothing came back."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while self.running:
            try:
                if streams is None:
                    streams = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 0.5)
            except (OSError, TimeoutError):
                self.count("refused")
                await asyncio.sleep(0.01)
                continue
            try:
                status, closing = await exchange(*streams)
                self.count(str(status))
            except (OSError, asyncio.IncompleteReadError) as error:
                self.count(f"lost: {type(error).__name__}")
                closing = True
            if closing or not persistent:
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bool]:
    """Status of one price, and whether the server closes the connection."""
    writer.write(priced())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return int(head.split(b" ", 2)[1]), b"connection: close" in head
