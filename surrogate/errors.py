"""Errors of the surrogate package."""

from __future__ import annotations


class SurrogateError(Exception):
    """Anything that learning or exporting refuses to do."""


class TrainingDiverged(SurrogateError, ArithmeticError):
    """Training that ended in NaN or infinity."""


class ParityFailure(SurrogateError):
    """An exported graph that does not reproduce its network."""


class CorruptArtifact(SurrogateError, ValueError):
    """Model files that do not fit together or whose hashes do not match."""
