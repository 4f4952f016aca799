"""The name of a model and of its versions. Torch-free."""

from __future__ import annotations

import re

from pricing.errors import InvalidSpec

# A model name is a folder name and a URL segment; without a dot it is the name of no file of the registry.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
CHAMPION = "champion"


def require_name(name: str, field: str = "name") -> None:
    """Raise InvalidSpec unless ``name`` may name a model."""
    if not NAME.fullmatch(name):
        raise InvalidSpec(
            f"{field} must be 1 to 64 of a-z, 0-9, '_', '-' and start with a letter or digit, got {name!r}", path=field
        )


def split_reference(reference: str, field: str = "model") -> tuple[str, str]:
    """Name and version or alias of ``MODEL[@VERSION]``, by default its champion.

    Raises:
        InvalidSpec: it has another form, or no model may have the name.
    """
    name, at, version = reference.partition("@")
    if not name or (at and not version):
        raise InvalidSpec(f"{field}: write MODEL or MODEL@VERSION, got {reference[:80]!r}", path=field)
    require_name(name, field)
    return name, version or CHAMPION
