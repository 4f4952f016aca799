"""The way of the hot route past FastAPI's stack, which costs several times what a price of one row does."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import STATUS
from app.http.problems import answer

FORESEEN: tuple[type[Exception], ...] = (*STATUS, HTTPException)


class Shortcut:
    """ASGI middleware: what ``route`` matches goes straight to its endpoint.

    The app's router has the route as well, for other methods and for servers with a root path. This is the innermost
    middleware, so the endpoint is observed and limited like any other.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self.app = app
        self.route = route
        self.methods = route.methods or ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the route's endpoint or the app."""
        match = scope["type"] == "http" and self.route.path_regex.match(scope["path"])
        if not match or scope["method"] not in self.methods:
            await self.app(scope, receive, send)
            return
        scope["endpoint"], scope["path_params"] = self.route.endpoint, match.groupdict()
        try:
            await self.route.app(scope, receive, send)
        except FORESEEN as error:
            response = await answer(Request(scope), error)
            await response(scope, receive, send)
