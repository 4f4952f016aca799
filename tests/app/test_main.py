"""A real server process: imports, merged requests, and the orderly stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from app.settings import Settings

pytestmark = pytest.mark.anyio

START_SECONDS = 30.0
STOP_SECONDS = 20.0
PRICE = "/v1/models/basket/price"
BODY = {"inputs": [[1.0, 1.0, 1.0]], "outputs": ["value"]}
FORBIDDEN = ("torch", "scipy", "onnx", "onnxscript", "pandas")


def test_serving_imports_nothing_of_training() -> None:
    """In a fresh interpreter; this one has imported torch for other tests."""
    code = f"import sys, app.main; print([name for name in {FORBIDDEN} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def server(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A uvicorn process and its address, with a second of draining."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "SOBOLITE_REGISTRY": str(settings.registry),
        "SOBOLITE_BUNDLED": str(settings.bundled),
        "SOBOLITE_DRAIN_SECONDS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port)],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url)
        yield process, url
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_ready(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(url)


def post(path: str, body: dict[str, Any]) -> tuple[bytes, bytes]:
    """Head and body of a request."""
    content = json.dumps(body).encode()
    return b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (
        path.encode(),
        len(content),
    ), content


async def read_answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    return answer


async def test_requests_that_arrive_together_are_one_call(server: tuple[subprocess.Popen[bytes], str]) -> None:
    """The process sleeps while twenty clients send, and wakes to all of them at once."""
    process, url = server
    streams = [await asyncio.open_connection("127.0.0.1", httpx.URL(url).port) for _ in range(20)]
    for reader, writer in streams:  # once each, so that the server has accepted them all
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await read_answer(reader)
    process.send_signal(signal.SIGSTOP)
    spots = np.linspace(0.6, 1.4, 20).tolist()
    for spot, (_, writer) in zip(spots, streams, strict=True):
        writer.write(b"".join(post(PRICE, {"inputs": [[spot, 1.0, 1.0]]})))
        await writer.drain()
    process.send_signal(signal.SIGCONT)
    values = [(await read_answer(reader))["value"][0] for reader, _ in streams]
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()
    async with httpx.AsyncClient(base_url=url) as client:
        metrics = (await client.get("/metrics")).text
        together = await client.post(PRICE, json={"inputs": [[spot, 1.0, 1.0] for spot in spots]})
    np.testing.assert_allclose(values, together.json()["value"], rtol=1e-13)
    assert "sobolite_price_batch_requests_sum 20.0" in metrics
    assert "sobolite_price_batch_requests_count 1.0" in metrics


async def test_sigterm_loses_no_request(server: tuple[subprocess.Popen[bytes], str]) -> None:
    """Busy clients are told to go by an answer; a request half sent is answered after the listener has closed."""
    process, url = server
    port = httpx.URL(url).port or 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head, body = post(PRICE, BODY)
    writer.write(head + body[:9])
    answered = 0

    async def ask_until_told_to_go(client: httpx.AsyncClient) -> None:
        nonlocal answered
        connection = ""
        while connection != "close":
            answer = await client.post(PRICE, json=BODY)
            assert answer.status_code == 200
            connection = answer.headers.get("connection", "")
            answered += 1

    async with httpx.AsyncClient(base_url=url, timeout=STOP_SECONDS) as client:
        asking = [asyncio.create_task(ask_until_told_to_go(client)) for _ in range(8)]
        while answered < 100:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    while listens(port):
        await asyncio.sleep(0.02)
    writer.write(body[9:])
    assert (await read_answer(reader))["in_domain"] == [True]
    writer.close()
    await writer.wait_closed()
    # uvicorn ends by the signal that stopped it; `sobolite serve` turns that into exit code 0.
    assert await asyncio.to_thread(process.wait, STOP_SECONDS) == -signal.SIGTERM
