"""Who may speak to any route: names, pages, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from app.http.door import HEALTH, SINGLE
from app.main import create_app
from app.settings import Settings
from tests.abuse.conftest import CHANGING, EXAMPLES, READING_JSON, Service, table

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-many-characters"
Route = tuple[str, str]


async def test_every_route_has_an_example(service: Service) -> None:
    assert table(service.app) == set(EXAMPLES)
    for route, example in EXAMPLES.items():
        answer = await service.send(route)
        assert answer.status_code == example.status, (route, answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "localhost.:8000", "127.0.0.1:8000", "[::1]", "[::1]:1"])
async def test_names_of_this_machine(service: Service, host: str) -> None:
    assert (await service.send(("GET", "/healthz"), headers={"host": host})).status_code == 200


HOSTS = [
    "rebind.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "10.0.0.1:8000",
    "[::2]",
    "::1",
    "",
    "localhost:8x",
]


@pytest.mark.parametrize("host", [*HOSTS, "user@localhost", "localhost, evil.example", "*"])
async def test_other_names_reach_no_route(service: Service, host: str) -> None:
    for route in EXAMPLES:
        answer = await service.send(route, headers={"host": host})
        assert answer.status_code == 421, (route, answer.text)
    assert (await service.client.options("/v1/jobs", headers={"host": host})).status_code == 421


async def test_one_host_is_needed(service: Service) -> None:
    sent = [("host", "localhost"), ("host", "localhost")]
    assert (await service.client.get("/healthz", headers=sent)).status_code == 421


PAGES: list[dict[str, str]] = [
    {"origin": "http://rebind.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9000"},
    {"origin": "http://localhost:8000.evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "nonsense"},
    {"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", PAGES)
async def test_foreign_pages_change_nothing(service: Service, headers: dict[str, str]) -> None:
    for route in CHANGING:
        for simple in ({}, {"content-type": "text/plain"}):
            answer = await service.send(route, headers=headers | simple)
            assert answer.status_code == 403, (route, answer.text)
    assert (await service.client.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "HTTP://LOCALHOST:8000", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
async def test_own_pages_may(service: Service, headers: dict[str, str]) -> None:
    assert (await service.send(("PUT", "/v1/models/{name}/aliases/{alias}"), headers=headers)).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
async def test_json_is_said_to_be_json(service: Service, kind: str | None) -> None:
    for route in READING_JSON:
        headers = {} if kind is None else {"content-type": kind}
        answer = await service.send(route, json=None, content=b"{}", headers=headers)
        assert answer.status_code == 415, (route, answer.text)


async def test_pages_say_what_they_load(service: Service) -> None:
    for path in ("/docs", "/redoc", "/v1/models/basket/versions/1/report"):
        page = await service.client.get(path, headers={"accept": "text/html"})
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"


async def test_no_redirect_repeats_a_host(service: Service) -> None:
    answer = await service.client.get("/v1/models/", headers={"host": "localhost"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)


@pytest.fixture
async def locked(settings: Settings) -> AsyncIterator[Service]:
    update = {"token": SecretStr(TOKEN), "hosts": ("api.example",), "origins": ("https://desk.example",)}
    app = create_app(settings.model_copy(update=update))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as client:
            yield Service(app, client)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}"]
)
async def test_a_token_covers_everything_but_health(
    locked: Service, given: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {} if given is None else {"authorization": given}
    for route, example in EXAMPLES.items():
        answer = await locked.send(route, headers=headers)
        assert (answer.status_code == 401) == (example.path not in HEALTH), (route, answer.text)
    for path in ("//healthz", "/healthz/", "/v1/models/basket%2Fprice", "//v1/models/basket/price"):
        assert (await locked.client.post(path, headers=headers)).status_code == 401
    captured = capsys.readouterr()
    assert TOKEN not in captured.out + captured.err


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_opens(locked: Service, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {TOKEN}", "origin": "https://desk.example", "sec-fetch-site": "cross-site"}
    for route, example in EXAMPLES.items():
        assert (await locked.send(route, headers=headers)).status_code == example.status, route


@pytest.fixture
async def befriended(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A server with a token that takes what pages of one other origin send."""
    app = create_app(settings.model_copy(update={"token": SecretStr(TOKEN), "origins": (FRIEND,)}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


FRIEND = "https://desk.example"


@pytest.mark.parametrize(("origin", "allowed"), [(FRIEND, True), ("https://evil.example", False)])
async def test_a_browser_asks_before_a_page_of_another_origin_may_send(
    befriended: httpx.AsyncClient, origin: str, allowed: bool
) -> None:
    for method, path in CHANGING:
        asks = {
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": "authorization,content-type,idempotency-key",
        }
        answer = await befriended.options(EXAMPLES[method, path].path, headers=asks)
        assert (answer.status_code == 200) is allowed, answer.text
        assert (answer.headers.get("access-control-allow-origin") == FRIEND) is allowed


async def test_a_page_of_a_listed_origin_reads_its_answer(befriended: httpx.AsyncClient) -> None:
    headers = {"origin": FRIEND, "sec-fetch-site": "cross-site", "authorization": f"Bearer {TOKEN}"}
    answer = await befriended.get("/v1/models", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    refused = await befriended.get("/v1/models", headers={"origin": FRIEND})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, FRIEND)


@pytest.mark.parametrize("name", sorted(SINGLE - {b"host"}))
async def test_of_what_decides_every_route_takes_one(service: Service, name: bytes) -> None:
    for method, path in EXAMPLES:
        twice = [(name, b"1"), (name, b"1")]
        answer = await service.client.request(method, EXAMPLES[method, path].path, headers=twice)
        assert answer.status_code == 422, (method, path, answer.text)
        assert answer.json()["path"].lower().encode() == name
