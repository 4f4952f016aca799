"""Errors of the pruning package."""

from __future__ import annotations


class PruningError(Exception):
    """Anything that pruning refuses to do."""


class ImpossibleSparsity(PruningError, ValueError):
    """A target that leaves no network."""
