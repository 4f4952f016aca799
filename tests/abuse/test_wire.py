"""Bytes that are no request, or a strange one: each is answered as a problem, counted and logged."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.cases.service import PRICE, ROW, Service, logged_service, request

TOKEN = "a-token-of-many-characters"
LOGGED = f"authorization: Bearer {TOKEN}\r\n"
SETTINGS = {"token": TOKEN, "log_level": "info", "header_bytes": 8192, "body_seconds": 2.0, "grace_seconds": 2.0}
BODY = json.dumps({"inputs": [ROW]})
CHUNKS = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n"
JSON = "content-type: application/json\r\n"
HOST = "host: localhost\r\n"
PUT = "PUT /v1/models/bachelier-basket-7/aliases/x HTTP/1.1\r\n"


def chunked(fields: str, trailers: str = "", chunks: str = CHUNKS) -> bytes:
    """A price request in chunks."""
    return f"POST {PRICE} HTTP/1.1\r\n{fields}transfer-encoding: chunked\r\n\r\n{chunks}{trailers}\r\n".encode()


def posted(fields: str, body: str = BODY) -> bytes:
    """A price request in one piece."""
    return f"POST {PRICE} HTTP/1.1\r\n{HOST}{JSON}{LOGGED}{fields}\r\n{body}".encode()


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Bytes, the statuses that answer them, and whether the client shuts its side behind them or leaves."""

    data: bytes
    statuses: tuple[int, ...]
    shuts: bool = False
    # Of each piece by itself, where it matters how they come.
    pieces: tuple[bytes, ...] = field(default=())


LENGTH = f"content-length: {len(BODY)}\r\n"
SMALL = f"GET /v1/models HTTP/1.1\r\n{HOST}{LOGGED}\r\n".encode()
WIRE = {
    "a verb that nobody knows": Sent(data=f"FOO / HTTP/1.1\r\n{HOST}\r\n".encode(), statuses=(400,)),
    "no HTTP": Sent(data=b"\x16\x03\x01\x02\x00\r\n\r\n", statuses=(400,)),
    "two lengths": Sent(data=posted(LENGTH + "content-length: 3\r\n"), statuses=(400,)),
    "a length and chunks": Sent(data=posted(LENGTH + "transfer-encoding: chunked\r\n"), statuses=(400,)),
    "a negative length": Sent(data=posted("content-length: -1\r\n"), statuses=(400,)),
    "a folded field": Sent(data=posted(f"a: b\r\n c\r\n{LENGTH}"), statuses=(400,)),
    "a NUL": Sent(data=posted(f"a: \0\r\n{LENGTH}"), statuses=(400,)),
    "a body that is packed on its way": Sent(
        data=chunked(HOST + JSON + LOGGED + "transfer-encoding: gzip\r\n"), statuses=(400,)
    ),
    "chunks of an old client": Sent(
        data=chunked(HOST + JSON + LOGGED).replace(b"HTTP/1.1", b"HTTP/1.0"), statuses=(400,)
    ),
    "another server's target": Sent(data=SMALL.replace(b"/v1", b"http://evil.example/v1", 1), statuses=(421,)),
    "a target as a proxy is asked": Sent(data=SMALL.replace(b"/v1", b"http://localhost/v1", 1), statuses=(200,)),
    "a size that is none": Sent(data=chunked(HOST + JSON + LOGGED, chunks="zz\r\n"), statuses=(400,)),
    "a good chunk and a bad one": Sent(data=chunked(HOST + JSON + LOGGED, chunks="1\r\n{\r\nzz\r\n"), statuses=(400,)),
    "an endless extension": Sent(data=chunked(HOST + JSON + LOGGED, chunks="1;" + "x" * 150_000), statuses=(413,)),
    "chunks of a byte with extensions": Sent(
        data=chunked(HOST + JSON + LOGGED, chunks=f"1;{'x' * 40}\r\n \r\n" * 40_000), statuses=(413,)
    ),
    "the host behind the body": Sent(data=chunked(JSON + LOGGED, HOST), statuses=(421,)),
    "the token behind the body": Sent(data=chunked(HOST + JSON, LOGGED), statuses=(401,)),
    "the type behind the body": Sent(data=chunked(HOST + LOGGED, JSON), statuses=(415,)),
    "a foreign host behind the body": Sent(data=chunked(HOST + JSON + LOGGED, "host: evil\r\n"), statuses=(200,)),
    "a foreign page behind the body": Sent(
        data=chunked(HOST + JSON + LOGGED, "origin: http://evil.example\r\n"), statuses=(200,)
    ),
    "two tokens": Sent(data=posted(LOGGED + LENGTH), statuses=(422,)),
    "two hosts": Sent(data=posted(HOST + LENGTH), statuses=(421,)),
    "a tab behind the host": Sent(
        data=f"GET /v1/models HTTP/1.1\r\nhost: localhost\t\r\n{LOGGED}\r\n".encode(), statuses=(200,)
    ),
    "a client that has said all": Sent(data=SMALL, statuses=(200,), shuts=True),
    "a price by a client that has said all": Sent(data=posted(LENGTH), statuses=(200,), shuts=True),
    "two requests of a client that has said all": Sent(data=SMALL + posted(LENGTH), statuses=(200, 200), shuts=True),
    "a client that leaves in a header": Sent(data=SMALL[:30], statuses=(), shuts=True),
    "a client that leaves in a price": Sent(data=posted(LENGTH)[:-5], statuses=(), shuts=True),
    "a client that leaves in a document": Sent(
        data=(PUT + HOST + JSON + LOGGED + "content-length: 20\r\n\r\n{").encode(), statuses=(), shuts=True
    ),
    "a good request and no HTTP": Sent(data=SMALL + b"\0\r\n\r\n", statuses=(200, 400)),
    "good requests and a large header": Sent(
        data=SMALL + posted(LENGTH) + SMALL[:-2] + b"a: " + b"x" * 9000 + b"\r\n\r\n", statuses=(200, 200, 431)
    ),
    "a large header with a body": Sent(data=posted("a: " + "x" * 9000 + "\r\n" + LENGTH), statuses=(431,)),
    "a good request and no body of the next": Sent(data=SMALL + posted(LENGTH)[:-5], statuses=(200,), shuts=True),
    "the rest of a body that was answered": Sent(
        data=f"POST /none HTTP/1.1\r\n{HOST}{LOGGED}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\nzz\r\n".encode(),
        statuses=(404,),
    ),
    "a large body for a route without one": Sent(
        data=request("/v1/jobs/nobody/cancel", b"x" * 3_000_000, "authorization: Bearer " + TOKEN), statuses=(413,)
    ),
}
# Sentences of those who are refused before any route has seen them.
UNSEEN = frozenset({400, 408, 431})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service logs."""
    return tmp_path_factory.mktemp("wire") / "log"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[Service]:
    """A service with a token."""
    with logged_service(tmp_path_factory.mktemp("registry"), log, "--no-worker", **SETTINGS) as running:
        yield running


def hear(served: Service, sent: Sent) -> list[tuple[int, bytes, bytes]]:
    """Status, header and body of each answer."""
    heard = b""
    with served.connect() as client:
        client.settimeout(1.0)
        with suppress(OSError):  # refused before its end
            client.sendall(sent.data)
            if sent.shuts:
                client.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError):
            while piece := client.recv(1 << 16):
                heard += piece
    parts = [part.partition(b"\r\n\r\n") for part in re.split(rb"HTTP/1\.1 (?=\d{3} )", heard)[1:]]
    return [(int(head[:3]), head.lower(), body) for head, _, body in parts]


@pytest.mark.parametrize("name", WIRE)
def test_what_comes_is_answered(served: Service, name: str) -> None:
    answers = hear(served, WIRE[name])
    assert tuple(status for status, _, _ in answers) == WIRE[name].statuses
    for status, head, body in answers:
        assert b"x-request-id: " in head
        assert b"x-content-type-options: nosniff" in head
        if status >= 400:
            assert b"content-type: application/problem+json" in head
            assert json.loads(body)["detail"]


def test_what_no_route_has_seen_is_counted_and_logged(served: Service, log: Path) -> None:
    def count() -> float:
        request = SMALL.replace(b"/v1/models", b"/metrics")
        ((_, _, text),) = hear(served, Sent(data=request, statuses=(200,)))
        found = re.search(rb'sobolite_refusals_total\{reason="bad-request"\} ([\d.]+)', text)
        return float(found[1]) if found else 0.0

    before = count()
    ((status, head, _),) = hear(served, WIRE["no HTTP"])
    assert (status, count()) == (400, before + 1.0)
    request_id = head.partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
    (line,) = [line for line in map(json.loads, log.read_text().splitlines()) if line.get("request_id") == request_id]
    assert (line["event"], line["status"], line["who"]) == ("request", 400, "127.0.0.1")


def test_every_line_of_the_log_is_json_and_none_has_a_traceback(served: Service, log: Path) -> None:
    for name in WIRE:
        hear(served, WIRE[name])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [line for line in lines if "exception" in line or line["level"] == "error"]


def test_a_stop_with_stalled_clients_tells_no_traceback(tmp_path: Path) -> None:
    log, held = tmp_path / "log", ("a client that leaves in a price", "a client that leaves in a document")
    with ExitStack() as clients:
        settings = SETTINGS | {"body_seconds": 60.0}
        with logged_service(tmp_path / "registry", log, "--no-worker", **settings) as running:
            for name in held:
                clients.enter_context(running.connect()).sendall(WIRE[name].data)
            time.sleep(0.3)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line["event"] == "cut at the end of the grace"]
    assert not [line for line in lines if "exception" in line]
