"""What a connection waits for, and how long it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.settings import Settings

Phase = Literal["fresh", "idle", "header", "body", "rest", "send", "work", "refused"]
# What may be closed to make room: it waits for its client. Bodies go last.
SHEDDABLE: tuple[Phase, ...] = ("fresh", "idle", "header", "body")
# A refused client may still be sending: closed at once it would get a reset before the answer.
LINGER_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a connection may take; see `app.settings.Settings`."""

    header_seconds: float
    header_bytes: int
    body_seconds: float
    write_seconds: float
    least_rate: int
    idle_seconds: int
    connections: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of a deployment."""
        return cls(
            header_seconds=settings.header_seconds,
            header_bytes=settings.header_bytes,
            body_seconds=settings.body_seconds,
            write_seconds=settings.write_seconds,
            least_rate=settings.least_rate,
            idle_seconds=settings.idle_seconds,
            connections=settings.limit_concurrency,
        )

    def allowed(self, phase: Phase, received: int) -> float:
        """Seconds that a connection may stay in a phase without a step forward.

        Args:
            received: bytes of its body until now.
        """
        match phase:
            case "fresh" | "header":
                return self.header_seconds
            case "body" | "rest":
                return self.body_seconds + received / self.least_rate
            case "send":
                return self.write_seconds
            case "idle":
                return self.idle_seconds
            case "refused":
                return LINGER_SECONDS
            case "work":
                return float("inf")
