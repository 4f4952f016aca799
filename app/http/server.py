"""uvicorn's server with limits on its connections, and a stop that ends in time whatever clients do."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import time
from functools import partial
from typing import Any

import structlog
import uvicorn

from app.http.observe import refuse
from app.http.phases import Limits
from app.http.protocol import LimitedProtocol, Waiting
from app.http.shutdown import take_no_more
from app.settings import Settings

# A limit may be late by a sweep: seconds of it, and at most this share of the least limit.
SWEEP_SECONDS, SWEEP_SHARE = 1.0, 0.25
# Before the end of the grace all is cut, so that the application can close: seconds, and at most this share of it.
CUT_SECONDS, CUT_SHARE = 1.0, 0.3
TICK_SECONDS = 0.05
# Until the kernel has put into the queue what it let in before.
SETTLE_SECONDS = 0.1

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves an application by `Settings`.

    ``last`` says that the whole service stops with this process, so nobody else will take what waits at the listener.
    """

    def __init__(self, app: Any, settings: Settings) -> None:
        self.limits = Limits.of(settings)
        self.waiting = Waiting()
        self.grace = settings.grace_seconds
        self.last = True
        refused = partial(refuse, app.state.metrics)
        protocol: Any = partial(LimitedProtocol, limits=self.limits, waiting=self.waiting, refuse=refused)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                timeout_keep_alive=settings.idle_seconds,
                backlog=4096,
                server_header=False,
                root_path=settings.root_path,
                proxy_headers=settings.proxies is not None,
                forwarded_allow_ips=settings.proxies or "",
            )
        )
        least = min(self.limits.header_seconds, self.limits.body_seconds, self.limits.write_seconds)
        self._sweep_seconds = min(SWEEP_SECONDS, SWEEP_SHARE * least)
        self._swept = 0.0

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; a sweep when it is time."""
        self._sweep(time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what waits at the listener, close it, answer what was asked, cut what is left, close the application."""
        begun = time.monotonic()
        end = begun + self.grace - min(CUT_SECONDS, CUT_SHARE * self.grace)
        await self._empty(sockets or [], end)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        silent_since = time.monotonic()
        while self._busy() and (now := time.monotonic()) < end and not self.force_exit:
            self._sweep(now)
            for connection in list(self.server_state.connections):
                connection.stop(silent_since, now)  # type: ignore[union-attr]
            await asyncio.sleep(TICK_SECONDS)
        await self._cut()
        await self.lifespan.shutdown()
        log.info("stopped", seconds=round(time.monotonic() - begun, 3))

    def _sweep(self, now: float) -> None:
        if now - self._swept < self._sweep_seconds:
            return
        self._swept = now
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            connection.look(now)
        self.waiting.fill(connections)

    async def _empty(self, listeners: list[socket.socket], end: float) -> None:
        """Let nobody in any more where this is the last process, and accept all who were."""
        if not self.last:
            return
        can = [take_no_more(listener) for listener in listeners]
        if not all(can):
            log.warning("the listener cannot be emptied: clients that connect while it closes may be reset")
        await asyncio.sleep(SETTLE_SECONDS)
        while select.select(listeners, [], [], 0)[0] and time.monotonic() < end:
            await asyncio.sleep(TICK_SECONDS)

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    async def _cut(self) -> None:
        connections: list[Any] = list(self.server_state.connections)
        tasks = list(self.server_state.tasks)
        if connections or tasks:
            log.warning("cut at the end of the grace", connections=len(connections), requests=len(tasks))
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut need not be told one by one
        for connection in connections:
            connection.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=TICK_SECONDS * self.grace)
