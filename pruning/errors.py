"""Errors of the pruning package."""

from __future__ import annotations

from typing import Any


class PruningError(Exception):
    """Anything that pruning refuses to do."""


class ImpossibleSparsity(PruningError, ValueError):
    """A target that leaves no network; ``fields`` holds path and bound of the field if known."""

    def __init__(self, message: str, *, path: str | None = None, bound: object = None) -> None:
        super().__init__(message)
        given = {"path": path, "bound": bound}
        self.fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
