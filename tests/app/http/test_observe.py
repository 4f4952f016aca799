from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.http.observe import Observe
from app.http.shutdown import Drain
from app.telemetry import Metrics, configure_logging

pytestmark = pytest.mark.anyio


def lines(capsysbinary: pytest.CaptureFixture[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsysbinary.readouterr().err.splitlines()]


async def test_request_ids_are_given_and_kept(client: httpx.AsyncClient) -> None:
    given = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert given[0] != given[1]
    kept = await client.get("/healthz", headers={"x-request-id": "mine-1"})
    assert kept.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("bad", ["a b", "x" * 65, '"', "é"])
async def test_harmful_request_ids_are_replaced(client: httpx.AsyncClient, bad: str) -> None:
    answer = await client.get("/healthz", headers=[(b"x-request-id", bad.encode())])
    assert answer.headers["x-request-id"] != bad


async def test_one_line_a_request_but_none_for_a_price(
    capsysbinary: pytest.CaptureFixture[bytes], client: httpx.AsyncClient
) -> None:
    configure_logging("info")  # again, now that stderr is captured
    await client.get("/v1/models", headers={"x-request-id": "mine"})
    await client.post("/v1/models/basket/price", json={"inputs": [[1.0, 1.0, 1.0]]})
    await client.post("/v1/models/basket/price", json={"inputs": [[1.0, 1.0]]})
    found = [line for line in lines(capsysbinary) if line["event"] == "request"]
    assert [(line["path"], line["status"]) for line in found] == [("/v1/models", 200), ("/v1/models/basket/price", 422)]
    assert (found[0]["request_id"], found[0]["method"], found[0]["level"]) == ("mine", "GET", "info")


async def test_series_name_handlers_and_not_paths(client: httpx.AsyncClient) -> None:
    """A path in a label would let a client make as many series as it likes."""
    for path in ("/a", "/b", "/v1/models/x/versions/1", "/v1/models/y/versions/2"):
        await client.get(path)
    text = (await client.get("/metrics")).text
    assert 'sobolite_requests_total{handler="show_version",method="GET",status="404"} 2.0' in text
    assert 'sobolite_requests_total{handler="none",method="GET",status="404"} 2.0' in text


async def test_a_failure_is_logged_and_its_answer_tells_nothing(
    capsysbinary: pytest.CaptureFixture[bytes], client: httpx.AsyncClient, served: FastAPI
) -> None:
    served.state.settings = None  # as a bug would
    configure_logging("info")
    answer = await client.post("/v1/models/basket/price", json={"inputs": [[1.0, 1.0, 1.0]]})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "NoneType" not in answer.text
    failure = next(line for line in lines(capsysbinary) if line["event"] == "request failed")
    assert failure["request_id"] == answer.headers["x-request-id"]
    assert "'NoneType' object has no attribute 'max_rows'" in failure["exception"]
    assert 'status="500"' in (await client.get("/metrics")).text


async def test_an_answer_cut_off_looks_cut_off() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    transport = httpx.ASGITransport(Observe(half, Metrics(), Drain(0.0)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(RuntimeError, match="half way"):
            await client.get("/")
