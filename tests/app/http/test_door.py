"""The checks by themselves; over every route in `tests.abuse.test_origins`."""

from __future__ import annotations

import pytest

from app.errors import Foreign, Misdirected, Unauthorized
from app.http.door import ANY, Headers, require_host, require_own, require_token


def test_any_host_where_a_proxy_checks_it() -> None:
    require_host([b"Prices.Example:8000"], {ANY})
    require_host([b"prices.example."], {"prices.example"})
    for hosts in ([], [b""], [b"a\x80\x01"], [b"localhost", b"localhost"]):
        with pytest.raises(Misdirected):
            require_host(hosts, {ANY})


def test_listed_origins_may_and_others_not() -> None:
    def sent(origin: bytes) -> Headers:
        return Headers([b"api.example"], origin, b"cross-site", None)

    require_own(sent(b"https://desk.example"), {"https://desk.example"})
    with pytest.raises(Foreign, match="SOBOLITE_ORIGINS"):
        require_own(sent(b"http://desk.example"), {"https://desk.example"})


def test_a_token_is_compared_whole() -> None:
    require_token(b"bEARER token", b"token")
    for given in (None, b"token", b"Bearer toke", b"Bearer token\xff", b"Basic token"):
        with pytest.raises(Unauthorized):
            require_token(given, b"token")
