"""The base of all that reports and manifests say. Torch-free."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Immutable facts that are published as JSON, and read from files of other versions.

    A field that is None or UNSET by default is left out of the JSON while it is. What a file does not say stays at its
    default, and what it says besides is ignored.
    """


RecordType = TypeVar("RecordType", bound=Record)
Fact = TypeVar("Fact")


def known(fact: Fact | UnsetType) -> Fact | None:
    """A fact, None where a file does not say it."""
    return None if fact is UNSET else fact
