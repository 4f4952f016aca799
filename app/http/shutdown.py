"""A server that stops without losing a request."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
import threading

# Linux's number of the option that hangs a filter before a socket; Python has no name for it.
SO_ATTACH_FILTER = 26
# A classic BPF program over a TCP header: drop what opens a connection (SYN without ACK), pass the rest.
NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # A = flags
    (0x54, 0, 0, 0x12),  # A &= SYN | ACK
    (0x15, 0, 1, 0x02),  # if A == SYN
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else pass all of it
)


class Drain:
    """After SIGTERM or SIGINT: not ready, still answering, closing each connection with its answer; then the stop.

    The pause lets load balancers notice, and clients with open connections come back elsewhere of their own accord.
    ``stopping`` is set at its end, when streams of events end.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.draining = False
        self.stopping = asyncio.Event()

    def install(self) -> None:
        """Take over both signals from the server that runs in this thread's event loop."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only; whoever runs a server elsewhere stops it
        for number in (signal.SIGTERM, signal.SIGINT):
            stop = signal.getsignal(number)
            asyncio.get_running_loop().add_signal_handler(number, self._begin, number, stop)

    def _begin(self, number: int, stop: object) -> None:
        if not callable(stop):
            return
        if not self.draining or self.seconds == 0.0:  # once more where nobody waits for the drain any longer
            asyncio.get_running_loop().call_later(self.seconds, self._stop, number, stop)
        self.draining = True

    def _stop(self, number: int, stop: object) -> None:
        assert callable(stop)
        self.stopping.set()
        stop(number, None)


def take_no_more(listener: socket.socket) -> bool:
    """Let no further client into the queue of a listener; whether this system can.

    Linux resets what still waits in the queue of a listener that is closed, so the queue has to end first. Clients
    that come now hear nothing, try again by themselves after a second and are refused then: no request of theirs is
    lost. It holds for every process that shares the listener.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in NO_NEW_CONNECTIONS))
    filtered = struct.pack("HP", len(NO_NEW_CONNECTIONS), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filtered)
    except OSError:
        return False
    return True
