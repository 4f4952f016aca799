"""Errors of the pricing package; every message names the field, its bound, the value got and what to do."""

from __future__ import annotations

from typing import Any


class PricingError(Exception):
    """Anything that pricing refuses to do."""


class InvalidSpec(PricingError, ValueError):
    """A specification that cannot describe a problem; ``fields`` holds the path and bound of the field if known."""

    def __init__(self, message: str, *, path: str | None = None, bound: object = None) -> None:
        super().__init__(message)
        given = {"path": path, "bound": bound}
        self.fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}


class OutOfDomain(PricingError, ValueError):
    """Features outside the Box; ``fields`` holds path, feature, bound and value of the first of them."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.fields = fields


class NonFiniteLabels(PricingError, ArithmeticError):
    """A simulation that produced NaN or infinity."""
