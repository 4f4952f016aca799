"""The OpenAPI document: FastAPI's own, and what it does not see: the price route and the jobs' specifications."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.http.problems import MEDIA_TYPE
from app.http.routes.jobs import JobRequest
from app.http.routes.prices import PATH, TIMEOUT
from app.http.schemas import PriceAnswer, PriceRequest, Problem
from app.specification.jobs import KINDS
from app.specification.schema import components

REFERENCE = "#/components/schemas/"


def describe(app: FastAPI) -> dict[str, Any]:
    """The document with the price route, the specifications and their schemas added."""
    document = FastAPI.openapi(app)
    _, schemas = models_json_schema(
        [(PriceRequest, "validation"), (PriceAnswer, "serialization"), (Problem, "serialization")],
        ref_template=REFERENCE + "{model}",
    )
    known = document["components"]["schemas"]
    known |= schemas["$defs"] | components(REFERENCE + "{name}")
    known[JobRequest.__name__]["oneOf"] = [specification(kind, struct) for kind, struct in KINDS.items()]
    document["paths"][PATH] = {"post": operation()}
    return document


def specification(kind: str, struct: type) -> dict[str, Any]:
    """What a job of one kind specifies."""
    return {"properties": {"kind": {"const": kind}, "spec": {"$ref": REFERENCE + struct.__name__}}}


def operation() -> dict[str, Any]:
    """POST price."""
    return {
        "tags": ["prices"],
        "summary": "Value, delta, gamma and other Greeks at many feature vectors in one call.",
        "description": "A malformed, ragged or non-finite body and rows outside the Box are refused naming the place. "
        "No NaN or infinity is ever answered.",
        "operationId": "price",
        "parameters": [
            parameter("name", "path", "a model name", {"type": "string"}),
            parameter("version", "query", "a version number or an alias", {"type": "string", "default": "champion"}),
            parameter(
                TIMEOUT,
                "header",
                "seconds after which the answer is of no use",
                {"type": "number", "exclusiveMinimum": 0},
            ),
        ],
        "requestBody": {"required": True, "content": content("application/json", PriceRequest)},
        "responses": {
            "200": {"description": "one entry per row", "content": content("application/json", PriceAnswer)},
            "4XX": {"description": "what is wrong with the request", "content": content(MEDIA_TYPE, Problem)},
            "503": {"description": "too much in progress; see Retry-After", "content": content(MEDIA_TYPE, Problem)},
            "504": {"description": f"not answered within the {TIMEOUT}", "content": content(MEDIA_TYPE, Problem)},
        },
    }


def parameter(name: str, place: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """One parameter of an operation."""
    return {"name": name, "in": place, "required": place == "path", "description": text, "schema": schema}


def content(media_type: str, model: type) -> dict[str, Any]:
    """A body of one media type."""
    return {media_type: {"schema": {"$ref": REFERENCE + model.__name__}}}
