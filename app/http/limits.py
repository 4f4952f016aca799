"""Back-pressure: a limit on every body while it is read, and on all that price requests hold in memory together."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Overloaded
from app.http.problems import answer

# Bodies and answers below this are bounded by the count of requests alone: clients that stall with large ones cannot
# keep small ones out.
SMALL_BYTES = 1 << 16
# What `app.http.protocol` sets in a scope whose body it reads no further: status and reason.
UNREAD = "sobolite.unread"


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
        path = route_path(scope)
        size, whole = 0, False
        limit = self.prices if path.endswith("/price") else self.special.get(path, self.limit)
        if announced(scope) > limit:
            response = await answer(Request(scope), refusal(limit))
            await response(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal size, whole
            message = await receive()
            if message["type"] == "http.disconnect":
                if not whole:
                    raise HTTPException(400, "the client left before the end of the body")
                return message
            if message.get("more_body"):
                if UNREAD in scope:
                    raise HTTPException(*scope[UNREAD])
            else:
                whole = True
            size += len(message.get("body", b""))
            if size > limit:
                raise refusal(limit)
            return message

        await self.app(scope, counted, send)


def route_path(scope: Scope) -> str:
    """The path as routes know it, without the prefix of ``--root-path``."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


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

    def ticket(self) -> Ticket:
        """A block in which one request may hold bytes and be counted."""
        return Ticket(self)


class Ticket:
    """What one request holds, given back at the end of its ``with`` block.

    A request that waits for its body, or for its client to take the answer, is not counted: stalled clients hold no
    place.
    """

    __slots__ = ("_admission", "_counted", "_held")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._counted = False
        self._held = 0

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._admission.held -= self._held

    def enter(self) -> None:
        """Count the request, whose body is there.

        Raises:
            Overloaded: too many are in progress.
        """
        admission = self._admission
        if admission.in_progress >= admission.requests:
            raise Overloaded(f"{admission.in_progress} price requests are in progress, the limit; try again shortly")
        admission.in_progress += 1
        self._counted = True

    def leave(self) -> None:
        """Count the request no longer; what it holds it still holds."""
        if self._counted:
            self._admission.in_progress -= 1
            self._counted = False

    def charge(self, size: int) -> None:
        """Hold ``size`` more bytes, of which small ones are not counted.

        Raises:
            Overloaded: the requests in progress hold too much together.
        """
        if size < SMALL_BYTES:
            return
        if self._admission.held + size > self._admission.size:
            raise Overloaded(f"price requests hold {self._admission.held} bytes, near the limit; try again shortly")
        self._admission.held += size
        self._held += size
