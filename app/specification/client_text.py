"""Text that a client sends: as a number, as a name that is kept, as a part of a sentence. Torch-free."""

from __future__ import annotations

from app.errors import InvalidRequest

# Characters of a name that is kept and shown.
LONGEST_NAME = 200


def is_plain(text: str) -> bool:
    """Whether `float` reads the text as everybody does: it takes other scripts' digits and 1_000 too."""
    return text.isascii() and "_" not in text


def to_float(text: str) -> float | None:
    """A number in decimal notation, nan and inf among them, or None.

    >>> to_float(" -1.5e3"), to_float("1_000"), to_float("one")
    (-1500.0, None, None)
    """
    try:
        return float(text) if is_plain(text) else None
    except ValueError:
        return None


def plain(text: str) -> str:
    """The text of a number, before a library reads it.

    Raises:
        ValueError: see `is_plain`.
    """
    if not is_plain(text):
        raise ValueError("write a number in digits 0 to 9")
    return text


def printable(text: str) -> str:
    r"""The text with every character escaped that a terminal would obey and not show.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def kept_name(given: str | None, field: str = "name") -> str | None:
    """A name of the client's choice; None for none, an empty one too.

    Raises:
        InvalidRequest: longer than `LONGEST_NAME`, or with characters that are not printable.
    """
    name = (given or "").strip(" ")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(
            f"{field} must have at most {LONGEST_NAME} printable characters, got {len(name)}: {printable(name[:40])!r}",
            path=field,
            bound=LONGEST_NAME,
        )
    return name or None
