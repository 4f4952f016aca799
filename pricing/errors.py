"""Errors of the pricing package; every message names the field, its bound, the value got and what to do."""

from __future__ import annotations

from typing import Any

# Characters of a sentence; what repeats a client's text or list may be as long as that.
MAXIMUM_SENTENCE = 2_000


class PricingError(Exception):
    """Anything that pricing refuses to do."""


class InvalidSpec(PricingError, ValueError):
    """A specification that cannot describe a problem; ``fields`` holds the path and bound of the field if known."""

    def __init__(self, message: str, *, path: str | None = None, bound: object = None) -> None:
        super().__init__(clipped(message))
        given = {"path": None if path is None else clipped(path), "bound": bound}
        self.fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}


class OutOfDomain(PricingError, ValueError):
    """Features outside the Box; ``fields`` holds path, feature, bound and value of the first of them."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.fields = fields


class NonFiniteLabels(PricingError, ArithmeticError):
    """A simulation that produced NaN or infinity."""


def clipped(text: str, most: int = MAXIMUM_SENTENCE) -> str:
    """The text, its middle left out where it has more than ``most`` characters, in characters that UTF-8 has.

    >>> clipped("from the beginning to the end", 13)
    'from ... end'
    """
    text = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= most:
        return text
    half = (most - len(" ... ")) // 2
    return f"{text[:half].rstrip()} ... {text[-half:].lstrip()}"
