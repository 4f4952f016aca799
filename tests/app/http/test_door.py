"""The checks by themselves; over every route in `tests.abuse.test_origins`."""

from __future__ import annotations

import pytest

from app.errors import Foreign, InvalidRequest, Misdirected, Unauthorized
from app.http.door import ANY, SINGLE, require_host, require_own, require_single, require_token


def test_any_host_where_a_proxy_checks_it() -> None:
    require_host(b"Prices.Example:8000", {ANY})
    require_host(b"prices.example.\t", {"prices.example"})
    for host in (None, b"", b"a\x80\x01"):
        with pytest.raises(Misdirected):
            require_host(host, {ANY})


def test_of_what_decides_there_is_one() -> None:
    require_single([b"host", b"accept", b"accept"])
    with pytest.raises(Misdirected, match="one Host header, got 2"):
        require_single([b"host", b"host"])
    for name in sorted(SINGLE - {b"host"}):
        with pytest.raises(InvalidRequest, match="got 2; send one"):
            require_single([b"host", name, name])


def test_listed_origins_may_and_others_not() -> None:
    def sent(origin: bytes) -> dict[bytes, bytes]:
        return {b"host": b"api.example", b"origin": origin, b"sec-fetch-site": b"cross-site"}

    require_own(sent(b"https://desk.example"), {"https://desk.example"})
    with pytest.raises(Foreign, match="SOBOLITE_ORIGINS"):
        require_own(sent(b"http://desk.example"), {"https://desk.example"})


def test_a_token_is_compared_whole() -> None:
    require_token(b"bEARER token", b"token")
    for given in (None, b"token", b"Bearer toke", b"Bearer token\xff", b"Basic token"):
        with pytest.raises(Unauthorized):
            require_token(given, b"token")
