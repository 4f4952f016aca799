"""The reference needs no other host and no inline script, with a root path and without."""

from __future__ import annotations

import hashlib
import re

import httpx
import pytest
from fastapi import FastAPI

from app.http.routes.docs import STATIC

pytestmark = pytest.mark.anyio


def test_the_vendored_files_are_as_published() -> None:
    lines = (STATIC / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
        assert name in (STATIC / "README.md").read_text()
    assert {path.name for path in (STATIC / "licences").iterdir()} >= {"redoc.txt", "swagger-ui.txt"}


@pytest.mark.parametrize("root", ["", "/api", "/a/b"])
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_a_page_loads_from_here_alone(served: FastAPI, page: str, root: str) -> None:
    transport = httpx.ASGITransport(served, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(root + page)
        assert answer.status_code == 200
        assert not re.search(r"https?:|//[a-z]", answer.text)
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", answer.text))
        assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "http" not in policy
        addresses = re.findall(r'(?:src|href|spec-url|data-document)="(/[^"]*)"', answer.text)
        assert len(addresses) >= 2
        for address in addresses:
            assert address.startswith(root)
            assert (await client.get(address)).status_code == 200


async def test_no_picture_of_another_host_is_asked_for(client: httpx.AsyncClient) -> None:
    """ReDoc's own is on its makers' host; what keeps it from being asked for runs before ReDoc does."""
    page = (await client.get("/redoc")).text
    assert page.index("redoc-init.js") < page.index("redoc.standalone.js")
    script = (STATIC / "redoc-init.js").read_text()
    assert "HTMLImageElement.prototype" in script
    assert all(part in script for part in ('"src"', "setAttribute", "location.host"))


async def test_the_document_names_its_server_behind_a_proxy(served: FastAPI) -> None:
    for root, servers in (("", None), ("/api", [{"url": "/api"}]), ("", None)):
        transport = httpx.ASGITransport(served, root_path=root)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get(f"{root}/openapi.json")).json().get("servers") == servers


@pytest.mark.parametrize("file", ["SHA256SUMS", "..%2fmain.py", "none.js"])
async def test_other_files_are_not_served(client: httpx.AsyncClient, file: str) -> None:
    assert (await client.get(f"/docs/assets/{file}")).status_code in (404, 422)
