from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from app import errors
from app.errors import STATUS, AppError, InvalidRequest, NotPublished
from app.http.problems import install

pytestmark = pytest.mark.anyio
# A device of Linux whose writes all fail for want of room.
FULL = Path("/dev/full")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install(app)
    return app


async def ask(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path)


def test_every_error_of_the_app_has_a_status() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AppError)}
    assert kinds - {AppError, NotPublished} <= set(STATUS)  # of a job or a command alone


@pytest.mark.parametrize("kind", STATUS)
async def test_an_error_is_a_problem_of_its_status(app: FastAPI, kind: type[Exception]) -> None:
    class Narrower(kind):  # type: ignore[valid-type, misc]
        """A subclass has the status of its base."""

    @app.get("/raise")
    def fail(narrow: bool) -> None:
        raise (Narrower if narrow else kind)("what is wrong")

    for narrow in (False, True):
        answer = await ask(app, f"/raise?narrow={narrow}")
        assert answer.status_code == STATUS[kind] == answer.json()["status"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "what is wrong"
        assert ("retry-after" in answer.headers) == (STATUS[kind] == 503)


async def test_fields_are_added(app: FastAPI) -> None:
    @app.get("/raise")
    def fail() -> None:
        raise InvalidRequest("no", path="inputs[1]", bound=2.5)

    assert (await ask(app, "/raise")).json() == {
        "type": "urn:sobolite:problem:invalid-request",
        "title": "Invalid request",
        "status": 422,
        "detail": "no",
        "path": "inputs[1]",
        "bound": 2.5,
    }


async def test_frameworks_own_errors_have_the_same_form(app: FastAPI) -> None:
    @app.get("/number")
    def number(n: int, m: int) -> None: ...

    answer = await ask(app, "/number?n=x")
    assert answer.status_code == 422
    assert answer.json()["path"] == "query.n"
    assert [error["path"] for error in answer.json()["errors"]] == ["query.n", "query.m"]
    answer = await ask(app, "/nowhere")
    assert answer.json()["detail"] == "GET /nowhere: not found"
    assert answer.json()["type"] == "urn:sobolite:problem:not-found"


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_full_disk_is_507_wherever_it_was_met(app: FastAPI, wrapped: bool) -> None:
    @app.get("/write")
    def write() -> None:
        try:
            with FULL.open("wb", buffering=0) as file:
                file.write(b"x")
        except OSError as error:
            if not wrapped:
                raise
            raise HTTPException(400, "There was an error parsing the body") from error  # what FastAPI makes of it

    answer = await ask(app, "/write")
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:sobolite:problem:storage-full")
    assert "the disk is full" in answer.json()["detail"]


async def test_other_failures_of_the_system_are_not_the_clients(app: FastAPI) -> None:
    @app.get("/read")
    def read() -> None:
        raise PermissionError(13, "Permission denied")

    assert (await ask(app, "/read")).status_code == 500
