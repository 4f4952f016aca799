"""Time and size limits of one HTTP connection, which uvicorn has not.

Nothing is timed by request: a sweep over all connections looks, about once a second, what each of them waits for, and
since which earlier sweep. So a limit is kept to the length of a sweep, and a request that is answered costs nothing.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.limits import UNREAD
from app.http.phases import SHEDDABLE, Limits, Phase

Refuse = Callable[[int, str, str | None], bytes]
# No client has use for more.
MOST_HEADERS = 100
# Bytes of a body's coding (sizes of chunks, their extensions, trailers) beyond a header's are at most so many times
# the body's own: a chunk of one byte has six.
CODING = 8
# Of a socket that is closed at once: what its client has not taken is dropped, and it is told (RST).
AT_ONCE = struct.pack("ii", 1, 0)
# While stopping: how long a connection may stay silent before it is closed, one that is new and one that was used.
FRESH_SECONDS, USED_SECONDS = 1.0, 0.2


class Waiting:
    """The connections that wait for their clients, by the last sweep; the first is the first to make room."""

    def __init__(self) -> None:
        self.queue: deque[LimitedProtocol] = deque()

    def fill(self, connections: Iterable[LimitedProtocol]) -> None:
        """Order them anew."""
        waiting = [connection for connection in connections if connection.phase in SHEDDABLE]
        self.queue = deque(sorted(waiting, key=lambda one: (one.phase == "body", one.since)))

    def shed(self) -> bool:
        """Close one that has not moved since; whether there was one."""
        while self.queue:
            connection = self.queue.popleft()
            if not connection.transport.is_closing() and not connection.moved():
                connection.abort()
                return True
        return False


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with `Limits`.

    Args:
        limits: what a connection may take.
        waiting: shared by the connections of a server.
        refuse: the bytes that answer a request which the application has not seen, by status, sentence and client.
        rest: what uvicorn gives.
    """

    def __init__(self, *, limits: Limits, waiting: Waiting, refuse: Refuse, **rest: Any) -> None:
        super().__init__(**rest)
        self.limits = limits
        self.waiting = waiting
        self.refuse = refuse
        self.phase: Phase = "fresh"
        self.since = time.monotonic()
        self._seen: object = None  # the request of which the phase was seen
        self._running: Any = None  # the request that is answered; `cycle` is the last that was read
        self._refused = False
        self._owed: tuple[int, str] | None = None  # a refusal that waits for the answer before it
        self._head = 0  # bytes of a header that is not complete
        self._piece = 0  # bytes of what is parsed
        self._received = 0  # bytes of bodies, and of all since the last header
        self._raw = 0
        self._drained = 0  # times that the transport has sent what it held
        self._mark = (0, 0)  # bytes waiting to be sent, and the above, when progress was last seen

    def connection_made(self, transport: Any) -> None:
        """Make room for one connection more, or refuse it."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections and not self.waiting.shed():
            self._refuse(503, f"{self.limits.connections} connections are busy, the limit; try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is answered too, where another was read behind it."""
        running = self._running
        super().connection_lost(exc)
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        self._running = self._seen = None  # no circles for the collector

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a header, or the coding of a body, that is too large."""
        if self._refused or self.transport.is_closing():
            return
        self._piece = len(data)
        super().data_received(data)
        if self._in_header():
            self._head += len(data)
            if self._head > self.limits.header_bytes:
                self._refuse(431, f"the header is larger than the limit of {self.limits.header_bytes} bytes")
        elif self.cycle is not None and self.cycle.more_body:
            self._raw += len(data)
            if self._raw > 2 * self.limits.header_bytes + CODING * self._received:
                self._refuse(
                    413, "the sizes of the body's chunks, their extensions or trailers are larger than allowed"
                )

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (ours says what to look at)
        """Answer what is no HTTP as any other refusal."""
        self._refuse(400, "this is no HTTP/1.1 request: its first line, a header or the length of its body is wrong")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that has said all and waits for its answer; of any other it is the end."""
        cycle = self.cycle
        if self._refused or cycle is None or cycle.more_body or cycle.response_started or self._in_header():
            return False
        cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """Go on with what was read behind the request. uvicorn's timer is left out: `look` closes what is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._begin(*self.pipeline.pop())
        elif self._refused:
            self._refuse_last()

    def on_message_begin(self) -> None:
        """Count a new request from nothing."""
        super().on_message_begin()
        self._head = self._received = self._raw = 0

    def on_headers_complete(self) -> None:
        """Refuse a header that came in one piece and is too large, or that others read in another way."""
        if self._too_large():
            self._refuse(431, f"the header has more than {self.limits.header_bytes} bytes or {MOST_HEADERS} fields")
        elif self._coded():
            self._refuse(400, "Transfer-Encoding must be 'chunked' alone, once, and of HTTP/1.1; send Content-Length")
        elif self._elsewhere():
            self._refuse(421, "the request's target names another server than its Host; send the path alone")
        super().on_headers_complete()
        if self._refused and self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        self.headers = []  # what comes behind the body says nothing of the request (RFC 9110, 6.5.1)

    def on_body(self, body: bytes) -> None:
        """Count."""
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that it was read, also where it was answered before."""
        if self.cycle is not None:
            self.cycle.more_body = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if not self._refused:
            self._begin(cycle, app)

    def _begin(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def resume_writing(self) -> None:
        """Count what a client takes."""
        self._drained += 1
        super().resume_writing()

    def look(self, now: float) -> None:
        """One connection's part of a sweep."""
        pending = self.transport.get_write_buffer_size()
        phase = self._phase(pending)
        if self.moved() or phase != self.phase:
            self.phase, self.since, self._seen = phase, now, self.scope
            self._mark = (pending, self._drained)
        elif phase == "send" and self._taken(pending, now):
            self.since, self._mark = now, (pending, self._drained)
        elif phase == "body" and self.flow.read_paused:
            self.since = now  # the server is late, not the client
        if now - self.since > self.limits.allowed(self.phase, self._received):
            self._end()

    def stop(self, silent_since: float, now: float) -> None:
        """While the server stops: close what asks nothing, answer the rest and close then."""
        phase = self._phase(self.transport.get_write_buffer_size())
        used = phase == "idle" and now - silent_since > USED_SECONDS
        fresh = phase == "fresh" and now - max(silent_since, self.since) > FRESH_SECONDS
        if used or fresh or phase == "refused":
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def moved(self) -> bool:
        """Whether another request has begun since the last look."""
        return self.scope is not self._seen

    def _in_header(self) -> bool:
        return self.scope is not None and "path" not in self.scope

    def _too_large(self) -> bool:
        if len(self.headers) > MOST_HEADERS:
            return True
        if self._head + self._piece <= self.limits.header_bytes:
            return False  # all that there is
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self.limits.header_bytes

    def _coded(self) -> bool:
        codings = [value.strip(b" \t").lower() for name, value in self.headers if name == b"transfer-encoding"]
        return bool(codings) and (codings != [b"chunked"] or self.parser.get_http_version() != "1.1")

    def _elsewhere(self) -> bool:
        """Whether the target has an authority, as a proxy is asked, that is not the Host."""
        if self.url[:1] in (b"/", b"*"):
            return False
        authority = self.url.partition(b"://")[2].partition(b"/")[0].lower()
        return any(name == b"host" and value.strip(b" \t").lower() != authority for name, value in self.headers)

    def _phase(self, pending: int) -> Phase:
        if pending:
            return "send"
        running = self._running
        if not self._answered():
            return "body" if running is self.cycle and running.more_body else "work"
        if self._refused:
            return "refused"
        if self._in_header():
            return "header"
        if self.cycle is not None and self.cycle.more_body:
            return "rest"
        return "fresh" if self.cycle is None else "idle"

    def _taken(self, pending: int, now: float) -> bool:
        before, drained = self._mark
        return self._drained != drained or before - pending > self.limits.least_rate * (now - self.since)

    def _end(self) -> None:
        limits = self.limits
        if self.phase == "header":
            self._refuse(408, f"the header did not come within {limits.header_seconds:g} s (SOBOLITE_HEADER_SECONDS)")
        elif self.phase == "body" and self.cycle.response_started:
            self.since = time.monotonic()  # a stream that never asked for its request's body
        elif self.phase == "body" and UNREAD not in self.scope:
            self._refuse(
                408,
                f"the body did not come within {limits.body_seconds:g} s (SOBOLITE_BODY_SECONDS) and what "
                f"{limits.least_rate} bytes a second (SOBOLITE_LEAST_RATE) allow; send it at once, or fewer rows",
            )
        elif self.phase in ("idle", "refused"):
            self.transport.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        if (opened := self.transport.get_extra_info("socket")) is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Read no more, answer, and close when the client has it: by the application, where it still reads the body."""
        self._refused, running, cycle = True, self._running, self.cycle
        if cycle is None or not cycle.more_body:
            self._owed = status, detail
        elif running is cycle and not cycle.response_started:
            cycle.scope[UNREAD] = status, detail
            cycle.message_event.set()
            self.since += self.limits.body_seconds
        if self._answered():
            self._refuse_last()

    def _refuse_last(self) -> None:
        """Say why no more is read and end the answers; closed at once, a client that still sends would be reset."""
        if self._owed is not None:
            self.transport.write(self.refuse(*self._owed, self.client and self.client[0]))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _answered(self) -> bool:
        """Whether nothing is being answered."""
        return self._running is None or bool(self._running.response_complete)
