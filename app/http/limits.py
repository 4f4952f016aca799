"""Back-pressure: a limit on every body while it is read, and on all that price requests hold in memory together."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Overloaded


class BodyLimit:
    """ASGI middleware: answer 413 as soon as a body is known to exceed ``limit`` bytes.

    Args:
        prices: the limit of price requests.
        special: paths whose bodies have a limit of their own.
    """

    def __init__(self, app: ASGIApp, limit: int, prices: int, special: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.limit = limit
        self.prices = prices
        self.special = special or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with a ``receive`` that counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        size, limit = 0, self.prices if path.endswith("/price") else self.special.get(path, self.limit)

        async def counted() -> Message:
            nonlocal size
            if size == 0 and announced(scope) > limit:
                raise refusal(limit)
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise refusal(limit)
            return message

        await self.app(scope, counted, send)


def refusal(limit: int) -> HTTPException:
    """The one exception that FastAPI lets through while it reads a body."""
    return HTTPException(413, f"the body is larger than the limit of {limit} bytes; send less a request")


def announced(scope: Scope) -> int:
    """Content-Length, 0 where the body comes in pieces of unknown length."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


class Admission:
    """How many price requests are in progress, and how many bytes of bodies and answers they hold."""

    def __init__(self, *, requests: int, size: int) -> None:
        self.requests = requests
        self.size = size
        self.in_progress = 0
        self.held = 0

    def enter(self) -> Ticket:
        """Count one request until the block of the ticket ends.

        Raises:
            Overloaded: too many are in progress.
        """
        if self.in_progress >= self.requests:
            raise Overloaded(f"{self.in_progress} price requests are in progress, the limit; try again shortly")
        self.in_progress += 1
        return Ticket(self)


class Ticket:
    """What one request holds, given back at the end of its ``with`` block."""

    __slots__ = ("_admission", "_held")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held = 0

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.in_progress -= 1
        self._admission.held -= self._held

    def charge(self, size: int) -> None:
        """Hold ``size`` more bytes.

        Raises:
            Overloaded: the requests in progress hold too much together.
        """
        if self._admission.held + size > self._admission.size:
            raise Overloaded(f"price requests hold {self._admission.held} bytes, near the limit; try again shortly")
        self._admission.held += size
        self._held += size
