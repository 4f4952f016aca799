from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from app.http.openapi import REFERENCE
from app.http.schemas import PriceAnswer, PriceRequest
from app.specification.schema import components

pytestmark = pytest.mark.anyio

PRICE = "/v1/models/{name}/price"
ROW = [1.0, 1.0, 1.0]
GOOD: list[dict[str, Any]] = [
    {"inputs": [ROW]},
    {"inputs": [[1, 1, 1]] * 3, "outputs": ["delta"]},
    {"inputs": {"spot": [ROW]}, "gamma": "parallel"},
    {"inputs": [ROW], "outputs": ["value", "gamma"], "gamma": "diagonal", "outside": "flag"},
]
BAD: list[Any] = [
    {},
    [],
    {"inputs": []},
    {"inputs": None},
    {"inputs": [["1", 1.0, 1.0]]},
    {"inputs": [[True, 1.0, 1.0]]},
    {"inputs": [[None, 1.0, 1.0]]},
    {"inputs": [[[1.0], 1.0, 1.0]]},
    {"inputs": [ROW], "outputs": []},
    {"inputs": [ROW], "outputs": ["speed"]},
    {"inputs": [ROW], "gamma": "none"},
    {"inputs": [ROW], "outside": None},
    {"inputs": [ROW], "extra": 1},
]


@pytest.mark.parametrize("body", GOOD)
async def test_what_the_schema_takes_the_handler_takes(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    PriceRequest.model_validate_json(json.dumps(body))
    answer = await client.post(PRICE.format(name="basket"), json=body)
    assert answer.status_code == 200
    PriceAnswer.model_validate_json(answer.content, strict=True)


@pytest.mark.parametrize("body", BAD)
async def test_what_the_schema_refuses_the_handler_refuses(client: httpx.AsyncClient, body: Any) -> None:
    with pytest.raises(ValidationError):
        PriceRequest.model_validate_json(json.dumps(body))
    assert (await client.post(PRICE.format(name="basket"), json=body)).status_code == 422


async def test_defaults_are_those_of_the_schema(client: httpx.AsyncClient) -> None:
    path = PRICE.format(name="basket")
    short = {"inputs": [ROW]}
    long = PriceRequest.model_validate(short).model_dump()
    assert (await client.post(path, json=short)).json() == (await client.post(path, json=long)).json()


async def test_the_document_is_whole(client: httpx.AsyncClient, served: FastAPI) -> None:
    document = (await client.get("/openapi.json")).json()
    for path in (
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        "/v1/models/{name}/versions/{version}",
        "/v1/models/{name}/versions/{version}/model.onnx",
        "/v1/models/{name}/versions/{version}/report",
        "/v1/models/{name}/aliases/{alias}",
        PRICE,
        "/v1/jobs",
    ):
        assert path in document["paths"]
    known = document["components"]["schemas"]
    references = {part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(known)
    assert {"PriceRequest", "PriceAnswer", "Problem"} <= references
    assert served.openapi()["paths"][PRICE] == document["paths"][PRICE]


async def test_a_job_is_specified_by_its_kind(client: httpx.AsyncClient) -> None:
    known = (await client.get("/openapi.json")).json()["components"]["schemas"]
    kinds = {part["properties"]["kind"]["const"]: part["properties"]["spec"] for part in known["JobRequest"]["oneOf"]}
    assert kinds == {
        "train": {"$ref": f"{REFERENCE}BuildSpec"},
        "prune": {"$ref": f"{REFERENCE}PruneJobSpec"},
        "retrain": {"$ref": f"{REFERENCE}RetrainJobSpec"},
    }
    payoffs = known["PricingProblem"]["properties"]["payoff"]["discriminator"]["mapping"]
    assert payoffs["worst_of"] == f"{REFERENCE}WorstOf"
    assert "shares of the maturity" in known["Autocall"]["properties"]["dates"]["description"]


async def test_no_schema_stands_for_two_things(served: FastAPI) -> None:
    own = FastAPI.openapi(FastAPI(routes=served.routes))["components"]["schemas"]
    assert "JobRequest" in own
    assert own.keys().isdisjoint(components(REFERENCE + "{name}"))


async def test_every_route_of_v1_tells_its_refusals(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [
        (path, method, operation["responses"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/")
    ]
    assert len(operations) >= 16
    for path, method, answers in operations:
        for kind in ("4", "5"):
            told = [status for status in answers if status.startswith(kind)]
            assert told, (path, method)
            if path != PRICE:
                assert f"{kind}XX" in told, (path, method)
