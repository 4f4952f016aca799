"""Clients that stall: each is answered or cut by the limit that it meets, and holds up nobody else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest

from benchmarks.cases.service import PRICE, ROW, Service, priced, request, service

LIMITS = {
    "header_seconds": 0.6,
    "body_seconds": 0.6,
    "write_seconds": 1.0,
    "idle_seconds": 2,
    "header_bytes": 8192,
    "least_rate": 1000,
    "queue_requests": 8,
    "limit_concurrency": 64,
    "drain_seconds": 0,
    "grace_seconds": 2,
}
# All limits are below three seconds; a machine with other work may be late.
LONGEST_SECONDS = 20.0
HEAD = f"POST {PRICE} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n".encode()


@dataclass(frozen=True, kw_only=True)
class Stall:
    """What a client sends at once, what it then sends again and again, and the statuses that it hears."""

    sent: bytes = b""
    dripped: bytes = b""
    pause: float = 0.1
    statuses: tuple[int, ...] = ()


STALLS = {
    "nothing at all": Stall(),
    "blank lines": Stall(dripped=b"\r\n"),
    "half of a method": Stall(sent=b"PO", statuses=(408,)),
    "half of a header": Stall(sent=HEAD, statuses=(408,)),
    "a header byte by byte": Stall(sent=HEAD + b"a: ", dripped=b"x", statuses=(408,)),
    "field by field": Stall(sent=HEAD, dripped=b"a: b\r\n", statuses=(408,)),
    "a header of a megabyte": Stall(sent=HEAD + b"a: " + b"x" * (1 << 20), statuses=(431,)),
    "an address of a megabyte": Stall(sent=b"GET /" + b"x" * (1 << 20), statuses=(431,)),
    "a large header at once": Stall(sent=HEAD + b"a: " + b"x" * 8200 + b"\r\n\r\n", statuses=(431,)),
    "many fields": Stall(sent=HEAD + b"a: b\r\n" * 200 + b"\r\n", statuses=(431,)),
    "no body": Stall(sent=HEAD + b"content-length: 200\r\n\r\n", statuses=(408,)),
    "half of a body": Stall(sent=HEAD + b'content-length: 200\r\n\r\n{"inp', statuses=(408,)),
    "a body byte by byte": Stall(sent=HEAD + b"content-length: 200\r\n\r\n", dripped=b" ", statuses=(408,)),
    "no end of chunks": Stall(
        sent=HEAD + b"transfer-encoding: chunked\r\n\r\n", dripped=b"1\r\n \r\n", statuses=(408,)
    ),
    "extensions": Stall(
        sent=HEAD + b"transfer-encoding: chunked\r\n\r\n1;", dripped=b"x" * 4096, pause=0.0, statuses=(413,)
    ),
    "trailers": Stall(
        sent=HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n \r\n0\r\n",
        dripped=b"a: b\r\n" * 99,
        pause=0.0,
        statuses=(413,),
    ),
    "leave to go on": Stall(sent=HEAD + b"content-length: 9\r\nexpect: 100-continue\r\n\r\n", statuses=(100, 408)),
    "control body": Stall(sent=request("/v1/jobs").replace(b"length: 0", b"length: 9") + b"{", statuses=(408,)),
    "body of an answered request": Stall(sent=request("/none").replace(b"length: 0", b"length: 9"), statuses=(404,)),
    "silence after an answer": Stall(sent=priced(), statuses=(200,)),
    "half of a pipelined request": Stall(sent=priced() + HEAD, statuses=(200, 408)),
    "half of a pipelined body": Stall(sent=priced() + HEAD + b"content-length: 9\r\n\r\n", statuses=(200, 408)),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small limits."""
    with service(tmp_path_factory.mktemp("stalls"), "--no-worker", **LIMITS) as running:
        yield running


def hear(served: Service, stall: Stall) -> tuple[bytes, float]:
    """All that a client hears until the server closes, and how long that took."""
    with served.connect() as client:
        start, heard = time.monotonic(), b""
        with suppress(OSError):  # refused before its end
            client.sendall(stall.sent)
        client.settimeout(stall.pause or 0.001)
        while time.monotonic() - start < LONGEST_SECONDS:
            try:
                if not (piece := client.recv(1 << 16)):
                    break
                heard += piece
            except TimeoutError:
                try:
                    client.sendall(stall.dripped)
                except OSError:
                    continue
            except OSError:
                break
        return heard, time.monotonic() - start


@pytest.fixture(scope="module")
def heard(served: Service) -> dict[str, tuple[bytes, float]]:
    """What every kind hears; all stall together."""
    with ThreadPoolExecutor(len(STALLS)) as clients:
        return dict(zip(STALLS, clients.map(lambda stall: hear(served, stall), STALLS.values()), strict=True))


@pytest.mark.parametrize("name", STALLS)
def test_a_stalled_client_is_answered_or_cut(heard: dict[str, tuple[bytes, float]], name: str) -> None:
    answer, seconds = heard[name]
    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert tuple(int(part[:3]) for part in parts) == STALLS[name].statuses
    assert seconds < LONGEST_SECONDS
    if parts and int(parts[-1][:3]) in (408, 431):
        head, _, body = parts[-1].partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == int(parts[-1][:3])


@pytest.mark.parametrize(
    ("held", "count"), [(HEAD + b"content-length: 200\r\n\r\n{", 48), (HEAD, 300), (b"", 300), (priced(), 300)]
)
def test_stalled_clients_keep_nobody_out(served: Service, held: bytes, count: int) -> None:
    """More of them than places for requests, or than connections."""
    clients: list[socket.socket] = []
    try:
        for _ in range(count):
            clients.append(served.connect())
            clients[-1].sendall(held)
            if len(clients) % 60 == 0:
                time.sleep(0.5)  # a sweep later they are known to wait
        time.sleep(0.3)
        for _ in range(5):
            status, answer = served.ask("POST", PRICE, {"inputs": [ROW]})
            assert status == 200, answer
    finally:
        for client in clients:
            client.close()


def test_an_answer_that_nobody_reads_is_cut(served: Service) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", served.port))
        client.sendall(priced(20_000))
        time.sleep(6.0)
        client.settimeout(LONGEST_SECONDS)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 16):
                answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert served.ask("POST", PRICE, {"inputs": [ROW]})[0] == 200
