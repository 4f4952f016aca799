"""A specification as the one class that a benchmark is made for."""

from __future__ import annotations

from typing import TypeVar

Kind = TypeVar("Kind")


def narrow(kind: type[Kind], spec: object) -> Kind:
    """The specification itself.

    Raises:
        TypeError: it is another one: an example has changed under the benchmark.
    """
    if not isinstance(spec, kind):
        raise TypeError(f"this benchmark needs a {kind.__name__}, got a {type(spec).__name__}")
    return spec
