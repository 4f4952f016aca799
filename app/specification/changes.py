"""Changes of a specification in plain data: a merge patch (RFC 7396) whose keys may be dotted paths. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pricing.errors import InvalidSpec

# No specification has tables within so many others.
MAXIMUM_DEPTH = 16
# The field that says which of several structs a table is: a table of another kind shares no fields with it.
KIND = "kind"
# A step of a path: a field or the name of an item, or the place of an item, as `[0]` or `.0`.
STEP = re.compile(r"[^.\[\]]+")
PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[[0-9]+\])*")


def with_changes(plain: Mapping[str, Any], changes: Mapping[str, Any], *, at: str = "") -> dict[str, Any]:
    """The specification with the changes in it.

    A table changes the fields that it names, or is put in the place of one of another kind; null takes a field away, so
    that its default holds; anything else takes the place of what was there. The items of a list are named by their
    place, or by their ``name`` if they have one, and a list is replaced as a whole where a list is given.

    Args:
        plain: a specification as plain data.
        changes: by field, by path (``problem.features.spot.upper``, ``training.optimisers[0].long``) or both.
        at: the path of ``plain`` itself.

    Raises:
        InvalidSpec: a path that is none, or that leads through something without fields.
    """
    changed = dict(plain)
    for key, given in changes.items():
        first, value = opened(key, given, at=at)
        if value is None:
            changed.pop(first, None)
        else:
            changed[first] = changed_value(changed.get(first), value, at=f"{at}.{first}".lstrip("."))
    return changed


def opened(key: str, value: Any, *, at: str) -> tuple[str, Any]:
    """The first step of a path, and the value within tables for the steps after it.

    Raises:
        InvalidSpec: it is no path.
    """
    if not PATH.fullmatch(key):
        raise InvalidSpec(
            f"changes: {key[:80]!r} is no path of a field such as problem.process.rate or problem.features.spot.upper",
            path=at,
        )
    first, *rest = STEP.findall(key)
    if at.count(".") + len(rest) > MAXIMUM_DEPTH:
        raise InvalidSpec(
            f"changes: {key[:80]!r}... leads more than {MAXIMUM_DEPTH} fields deep, deeper than any specification",
            path=at[:80],
            bound=MAXIMUM_DEPTH,
        )
    for step in reversed(rest):
        value = {step: value}
    return first, value


def changed_value(old: Any, new: Any, *, at: str) -> Any:
    """What stands at a path after the change."""
    if not isinstance(new, Mapping):
        return new
    if isinstance(old, Sequence) and not isinstance(old, str):
        return changed_items(old, new, at=at)
    if isinstance(old, Mapping) and new.get(KIND, old.get(KIND)) == old.get(KIND):
        return with_changes(old, new, at=at)
    if old is None or isinstance(old, Mapping):
        return with_changes({}, new, at=at)
    raise InvalidSpec(f"changes: {at} is {old!r} and has no field {next(iter(new), '')!r}", path=at)


def of_another_kind(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Paths of tables whose kind two specifications do not share, in plain data."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get(KIND) != new.get(KIND):
            yield at
        for name in old.keys() & new.keys():
            yield from of_another_kind(old[name], new[name], f"{at}.{name}".lstrip("."))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        for place, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from of_another_kind(before, after, f"{at}[{place}]")


def changed_items(old: Sequence[Any], changes: Mapping[str, Any], *, at: str) -> list[Any]:
    """A list with changes of its items, which are named by place or by name."""
    items = list(old)
    named = {item["name"]: place for place, item in enumerate(items) if isinstance(item, Mapping) and "name" in item}
    for key, given in changes.items():
        first, value = opened(key, given, at=at)
        place = named.get(first, int(first) if first.isascii() and first.isdecimal() else len(items))
        if value is None:
            raise InvalidSpec(f"changes: to take {first!r} out of {at} give the whole list without it", path=at)
        if place >= len(items):
            have = ", ".join(named or map(str, range(len(items))))[:200] or "none"
            raise InvalidSpec(
                f"changes: {at} has no item {first!r}; it has {have}. To add one give the whole list", path=at
            )
        items[place] = changed_value(items[place], value, at=f"{at}[{place}]")
    return items
