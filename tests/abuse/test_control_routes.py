"""Any JSON document to any control route: a small answer soon, and never a failure of the server."""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.errors import AppError
from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec
from tests.abuse.conftest import EXAMPLES, READING_JSON, TINY, Service

pytestmark = pytest.mark.anyio
CONTROL = [route for route in READING_JSON if not route[1].endswith("/price")]
HEADERS = {"content-type": "application/json"}
# Seconds of processor time for each 100 kB of a document begun.
ALLOWED, BEGUN = 0.2, 100_000
ANSWER = 64_000


def allowed(content: bytes) -> float:
    """Seconds of processor time that a document may take."""
    return ALLOWED * math.ceil(max(1, len(content)) / BEGUN)


def tiny(**changes: Any) -> dict[str, Any]:
    return {"kind": "train", "spec": tomllib.loads(TINY) | changes}


def problem(**changes: Any) -> dict[str, Any]:
    return tiny(problem=tomllib.loads(TINY)["problem"] | changes)


SPOT = {"name": "spot", "lower": [0.5, 0.5], "upper": [1.5, 1.5]}
BODIES: dict[str, bytes] = {
    name: document if isinstance(document, bytes) else json.dumps(document).encode()
    for name, document in {
        "a field that looks like msgspec's place": tiny(**{"a` - at `$" + "[" * 60_000: 1}),
        "a place again and again": tiny(**{" - at `$" * 8_000: 1}),
        "200,000 keys": b'{"spec": {' + b",".join(b'"k%d": 1' % i for i in range(60_000)) + b"}}",
        "as many beside": b"{" + b",".join(b'"k%d": 1' % i for i in range(60_000)) + b"}",
        "a long integer": b'{"kind": "train", "version": 1' + b"0" * 400 + b', "spec": {"seed": 1' + b"0" * 400 + b"}}",
        "a longer integer": b"1" * 1_000_000,
        "a lone surrogate": b'{"version": "\\ud800", "spec": {"\\udfff": 1}}',
        "a surrogate as unit": problem(features=[SPOT | {"unit": "\ud800"}]),
        "a NUL as unit": problem(features=[SPOT | {"unit": "\0"}]),
        "a long unit": problem(features=[SPOT | {"unit": "x" * 65}]),
        "a long maturity": problem(maturity=1e308),
        "infinity": b'{"version": Infinity, "spec": {"seed": -Infinity}}',
        "an exponent": b'{"version": 1e999}',
        "the same key": b'{"version": 1, "version": 2, "kind": "train", "spec": {}}',
        "deep lists": b"[" * 500_000,
        "deep objects": b'{"a":' * 100_000,
        "deep in depth": b"[" * 900 + b"]" * 900,
        "a list": b"[]",
        "a text": b'"text"',
        "null": b"null",
        "nothing": b"",
        "no UTF-8": b'{"version": "\xff"}',
        "a mark": b"\xef\xbb\xbf{}",
        "a long text": tiny(name="x" * 900_000),
        "a long model": {"kind": "prune", "spec": {"model": "x" * 900_000, "pruning": {"method": "magnitude"}}},
        "a long kind": {"kind": "x" * 900_000, "spec": {}},
        "100,000 features": problem(features=[{}] * 100_000),
        "spots": problem(features=[SPOT] * 10_000),
        "weights": problem(payoff={"kind": "call", "weights": [1.0] * 100_000, "strike": 1.0}),
        "dates": problem(payoff={"kind": "bermudan", "option": {}, "dates": [0.5] * 100_000}),
        "a matrix": problem(process={"kind": "bachelier", "volatilities": [1.0], "correlation": [[0] * 400] * 700}),
        "optimisers": tiny(training={"optimisers": [{"kind": "adam"}] * 20_000}),
        "directions": tiny(labels={"directions": 1_000_000_000}),
        "changes": {"kind": "retrain", "spec": {"model": "basket", "changes": {"a." * 100: 1}}},
        "too much": b" " * ((1 << 20) + 1),
    }.items()
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies_are_refused_shortly(service: Service, name: str) -> None:
    for method, path in CONTROL:
        started = time.process_time()
        answer = await service.client.request(
            method, EXAMPLES[method, path].path, content=BODIES[name], headers=HEADERS
        )
        assert 400 <= answer.status_code < 500, answer.text[:2000]
        assert len(answer.content) < ANSWER
        assert answer.json()["detail"]
        assert time.process_time() - started < allowed(BODIES[name])


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(document=DOCUMENTS)
@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_document_is_read_or_refused(service: Service, document: Any) -> None:
    for method, path in CONTROL:
        for sent in (document, {"kind": "train", "spec": document}, {"version": document}):
            content, started = json.dumps(sent).encode(), time.process_time()
            answer = await service.client.request(method, EXAMPLES[method, path].path, content=content, headers=HEADERS)
            assert answer.status_code < 500, answer.text
            assert len(answer.content) < ANSWER
            assert time.process_time() - started < allowed(content)


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every number, text and list."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from places(value, (*way, key))
        if not isinstance(value, dict):
            yield (*way, key)


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 10**17, 1e308, -1e308, 5e-324, "x" * 10_000, "\ud800", [0] * 100_000]
)
def test_no_field_takes_what_overflows(value: Any) -> None:
    for way in places(tiny()["spec"]):
        spec = tiny()["spec"]
        inside = spec
        for step in way[:-1]:
            inside = inside[step]
        inside[way[-1]] = value
        if way == ("seed",) and value == 10**17:
            continue  # a seed of 63 bits is one
        with pytest.raises((InvalidSpec, AppError)) as error:
            load_spec("train", spec)
        assert len(str(error.value)) < 2_500
        str(error.value).encode()


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, identity", "nonsense"])
async def test_a_compressed_document_is_refused_as_such(service: Service, coding: str) -> None:
    for method, path in READING_JSON:
        answer = await service.client.request(
            method, EXAMPLES[method, path].path, content=b"{}", headers=HEADERS | {"content-encoding": coding}
        )
        assert (answer.status_code, answer.json()["path"]) == (415, "Content-Encoding")
