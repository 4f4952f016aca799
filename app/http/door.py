"""Who may speak: the name that a request asks for, the page that sent it, and its token; and what every page is told.

Each check is a function of the request's headers that raises its refusal: keys and scopes take the place of
`require_token`.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Foreign, InvalidRequest, Misdirected, Unauthorized
from app.http.limits import route_path
from app.http.problems import answer
from app.settings import Settings

# Names that a browser on this machine uses for it.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Of these a request has one: with two of them one reader would believe the first, and another the last.
SINGLE = frozenset(
    {
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"idempotency-key",
        b"last-event-id",
        b"request-timeout",
    }
)
# In the setting `hosts`: whoever stands in front checks the name.
ANY = "*"
# What changes nothing: a foreign page may send it and cannot read the answer.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# What a browser says of a request that its user or a page of ours sent.
OWN_SITES = frozenset({b"same-origin", b"none"})
# Asked by load balancers, which have no token.
HEALTH = frozenset({"/healthz", "/readyz"})
# Browsers take no answer for another type than it says; pages run no script and stand in no frame.
NOSNIFF = (b"x-content-type-options", b"nosniff")
PAGE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
NO_FRAMES = "frame-ancestors 'none'"
PAGES = ((b"content-security-policy", (PAGE + NO_FRAMES).encode()), (b"x-frame-options", b"DENY"))


class Door:
    """ASGI middleware: refuse what is not meant for this server, what a foreign page sent, what has not the token."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.hosts = frozenset((*LOOPBACK, *settings.hosts))
        self.origins = frozenset(settings.origins)
        self.token = None if settings.token is None else settings.token.get_secret_value().encode()
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self.check(scope)
        except (Misdirected, Foreign, Unauthorized, InvalidRequest) as error:
            response = await answer(Request(scope), error)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send if scope["method"] == "POST" else guarded(send))

    def check(self, scope: Scope) -> None:
        """Raise Misdirected, Foreign, Unauthorized or InvalidRequest unless the request may come in."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(headers) < len(scope["headers"]):
            require_single([name for name, _ in scope["headers"]])
        host = headers.get(b"host")
        if host not in self._known:
            self._require_host(host)
        if scope["method"] not in SAFE and (b"origin" in headers or b"sec-fetch-site" in headers):
            require_own(headers, self.origins)
        if self.token is not None and route_path(scope) not in HEALTH:
            require_token(headers.get(b"authorization"), self.token)

    def _require_host(self, host: bytes | None) -> None:
        host = require_host(host, self.hosts)
        if len(self._known) < len(self.hosts):  # a bound: with ports there are more spellings than names
            self._known.add(host)


def require_single(names: Sequence[bytes]) -> None:
    """Raise Misdirected for two hosts, InvalidRequest for two of any other header that a request has one of."""
    for name in SINGLE:
        if (count := names.count(name)) > 1:
            sentence = f"a request has one {name.decode().title()} header, got {count}; send one"
            raise Misdirected(sentence) if name == b"host" else InvalidRequest(sentence, path=name.decode().title())


def require_host(host: bytes | None, allowed: Collection[str]) -> bytes:
    """The Host header, if its name is allowed, whatever its port.

    A page whose name a stranger's DNS server has pointed at this machine speaks under that name.

    Raises:
        Misdirected: it is not.
    """
    if host is None:
        raise Misdirected("a request needs a Host header")
    name = host.strip(b" \t").decode("latin-1").lower()
    bare, colon, port = name.rpartition(":")
    if colon and ((port.isascii() and port.isdigit()) or not port) and (":" not in bare or bare.endswith("]")):
        name = bare
    if not name or (name.removesuffix(".") not in allowed and (ANY not in allowed or not name.isprintable())):
        raise Misdirected(
            f"this server is not {name[:100]!r}; whoever runs it can add the name to SOBOLITE_HOSTS", path="Host"
        )
    return host


def require_own(headers: Mapping[bytes, bytes], allowed: Collection[str]) -> None:
    """Raise Foreign for what changes something and was sent by a page of another origin."""
    site = headers.get(b"sec-fetch-site", b"none")
    origin = None if b"origin" not in headers else headers[b"origin"].decode("latin-1").lower()
    if origin in allowed:
        return
    same = origin is None or origin.partition("://")[2] == headers[b"host"].decode("latin-1").lower()
    if not same or site.lower() not in OWN_SITES:
        raise Foreign(
            f"a page of {(origin or 'another site')[:100]} may not do this; whoever runs the server can add its "
            "origin to SOBOLITE_ORIGINS",
            path="Origin",
        )


def require_token(authorization: bytes | None, token: bytes) -> None:
    """Raise Unauthorized unless the request has the token, compared in constant time."""
    scheme, _, given = (authorization or b"").partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), token):
        raise Unauthorized("a request needs the header Authorization: Bearer TOKEN", path="Authorization")


def guarded(send: Send) -> Send:
    """A ``send`` that tells pages what they may load and that no frame holds them, unless they say so themselves."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in PAGES if pair[0] not in said)]
        await send(message)

    return sent
