"""Stops: in time whatever clients do, and without losing a request."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from benchmarks.cases.service import PRICE, Load, Service, alive, launch, priced, request, service, until

DRAIN_SECONDS, GRACE_SECONDS = 0.3, 3.0
# The promise is drain and grace; this much more for what else the machine does.
LATE_SECONDS = 2.0
SETTINGS = {"drain_seconds": DRAIN_SECONDS, "grace_seconds": GRACE_SECONDS}
# STOP_ROUNDS=20 is the full proof.
ROUNDS = int(os.environ.get("STOP_ROUNDS", "3"))
LOAD_SECONDS = 0.7
HEAD = f"POST {PRICE} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode()
HELD = {
    "nothing": b"",
    "half of a header": HEAD,
    "half of a body": HEAD + b"content-length: 200\r\n\r\n{",
    "no end of chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n \r\n",
    "idle": priced(),
    "an answer that nobody reads": priced(20_000),
    "half of a pipelined request": priced() + HEAD,
}
JOB = {"kind": "prune", "spec": {"model": "bachelier-basket-7", "pruning": {"method": "magnitude", "sparsity": 0.1}}}
STOPS = [((signal.SIGTERM,), 1), ((signal.SIGINT,), 2), ((signal.SIGTERM,), 4), ((signal.SIGINT, signal.SIGINT), 1)]


def hold(served: Service) -> list[socket.socket]:
    """A client of every kind that stalls, twice."""
    clients = []
    for sent in [*HELD.values()] * 2:
        client = served.connect()
        client.sendall(sent)
        clients.append(client)
    return clients


def stopped(served: Service, *signals: int) -> float:
    """Send signals, wait for the end, and see that nothing is left; the seconds."""
    family, start = served.family(), time.monotonic()
    for number in signals:
        served.process.send_signal(number)
        time.sleep(0.1)
    assert served.process.wait(60.0) == 0
    seconds = time.monotonic() - start
    assert not [one for one in family if alive(one)]
    return seconds


@pytest.mark.parametrize(("signals", "workers"), STOPS)
def test_it_ends_in_time_whatever_clients_do(tmp_path: Path, signals: tuple[int, ...], workers: int) -> None:
    with service(tmp_path, "--no-worker", "--workers", str(workers), **SETTINGS) as served:
        jobs = [served.ask("POST", "/v1/jobs", JOB) for _ in range(2)]
        assert [status for status, _ in jobs] == [202, 202], jobs
        streams = [served.connect() for _ in jobs]
        for stream, (_, job) in zip(streams, jobs, strict=True):
            stream.sendall(request(f"/v1/jobs/{job['id']}/events", method="GET"))
            assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200")
        clients = hold(served)
        time.sleep(0.5)
        assert stopped(served, *signals) < DRAIN_SECONDS + GRACE_SECONDS + LATE_SECONDS
        for stream in streams if len(signals) == 1 else ():
            rest = b"".join(iter(lambda stream=stream: stream.recv(1 << 16), b""))  # type: ignore[misc]
            assert b"event: stopping" in rest
            assert rest.endswith(b"0\r\n\r\n")
        for client in [*clients, *streams]:
            client.close()


@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.8, 2.6])
def test_it_stops_while_it_starts(tmp_path: Path, seconds: float) -> None:
    started = launch(tmp_path, "--workers", "2", **SETTINGS)
    time.sleep(seconds)
    family = started.family()
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(20.0) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    until(lambda: not [one for one in family if alive(one)], 10.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_load_are_not_lost(tmp_path: Path, workers: int) -> None:
    """Clients that stay and clients that come anew for each request: each is answered or never let in."""

    async def load(served: Service) -> dict[str, int]:
        clients = Load(served.port)
        tasks = [asyncio.create_task(clients.client(persistent=i % 2 == 0)) for i in range(16)]
        await asyncio.sleep(LOAD_SECONDS)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(served.process.wait, 60.0)
        clients.running = False
        await asyncio.gather(*tasks)
        return clients.counts

    for _ in range(-(-ROUNDS // 2)):
        with service(tmp_path, "--no-worker", "--workers", str(workers), **SETTINGS) as served:
            counts = asyncio.run(load(served))
        assert counts.pop("200") > 50
        counts.pop("refused", None)  # nobody listens any more
        assert counts == {}
