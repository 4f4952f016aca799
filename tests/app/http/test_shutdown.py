from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from app.http.shutdown import Drain, take_no_more

pytestmark = pytest.mark.anyio


@pytest.fixture
def stops() -> Iterator[list[tuple[int, float]]]:
    """The signals that the server's own handler gets, with the time."""
    heard = list[tuple[int, float]]()
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append((number, time.monotonic())))
    yield heard
    signal.signal(signal.SIGTERM, before)


async def test_the_server_stops_once_and_only_after_the_pause(stops: list[tuple[int, float]]) -> None:
    drain, pause = Drain(0.05), 0.05
    drain.install()
    assert not drain.draining
    begun = time.monotonic()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    while not drain.draining:
        await asyncio.sleep(0.001)
    assert stops == []
    await asyncio.sleep(4.0 * pause)
    ((number, stopped),) = stops
    assert number == signal.SIGTERM
    assert stopped - begun >= pause
    assert drain.stopping.is_set()
    for handled in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(handled)


def test_outside_the_main_thread_nothing_is_taken_over(stops: list[tuple[int, float]]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=Drain(0.0).install)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_a_listener_that_takes_no_more_keeps_whom_it_has() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as early,
        socket.socket() as late,
    ):
        assert take_no_more(listener)
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())
        early.sendall(b"asked")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(10) == b"asked"
