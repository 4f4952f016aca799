"""A server that stops without losing a request."""

from __future__ import annotations

import asyncio
import signal
import threading


class Drain:
    """After SIGTERM: not ready, still answering, closing each connection with its answer; then the server's own stop.

    The pause lets load balancers notice, and clients with open connections come back elsewhere of their own accord.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.draining = False

    def install(self) -> None:
        """Take over SIGTERM from the server that runs in this thread's event loop."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only; whoever runs a server elsewhere stops it
        stop = signal.getsignal(signal.SIGTERM)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._begin, stop)

    def _begin(self, stop: object) -> None:
        if self.draining or not callable(stop):
            return
        self.draining = True
        asyncio.get_running_loop().call_later(self.seconds, stop, signal.SIGTERM, None)
