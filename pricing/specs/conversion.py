"""What is wrong with plain data that does not make a specification: the place, the bound and the choices there are.

`msgspec` names the place of the first fault. The field within a struct that checks itself comes from the error that the
struct raised; the choices of a word come from the type at that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from pricing.errors import InvalidSpec

# "... - at `$.problem.process.volatilities[0]`"; what comes before may repeat a client's text, which may hold the same.
PLACE = " - at `$"
STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
# How a fault begins that names a field which the struct at its place does not have.
UNKNOWN = "Object contains unknown field"


def explain(error: msgspec.ValidationError, kind: Any, data: object) -> InvalidSpec:
    """The error as a sentence, with the path and the bound of the field."""
    fault, path = located(str(error))
    cause, bound = error.__cause__, None
    if isinstance(cause, InvalidSpec):
        inner = cause.fields.get("path")
        path, bound = ".".join(place for place in (path, inner) if place), cause.fields.get("bound")
        return InvalidSpec(f"{fault} - at `{path or 'the top level'}`", path=path, bound=bound)
    here = list(_types(inspect.type_info(kind), STEP.findall(path), data))
    if fault.startswith(UNKNOWN):
        bound = [name for place in here if isinstance(place, inspect.StructType) for name in _names(place)]
        fault = f"{fault}; the fields are {', '.join(bound)}"
    elif words := [str(word) for place in here if isinstance(place, inspect.LiteralType) for word in place.values]:
        choice = f"choose one of {', '.join(words)}" if len(words) > 1 else f"give {words[0]!r} or leave it out"
        fault, bound = f"{fault}; {choice}", words
    return InvalidSpec(f"{fault} - at `{path or 'the top level'}`", path=path, bound=bound)


def located(message: str) -> tuple[str, str]:
    """What is wrong and the path of the place, of a sentence of `msgspec`; in time linear in its length.

    >>> located("Expected `int`, got `str` - at `$.labels.samples`")
    ('Expected `int`, got `str`', 'labels.samples')
    """
    fault, place, path = message.rpartition(PLACE)
    return (fault, path.removesuffix("`").removeprefix(".")) if place else (message, "")


def _types(kind: inspect.Type, steps: list[str], data: object) -> Iterator[inspect.Type]:
    """The types that may stand at the end of ``steps``, of tagged structs those that the data names; tags as words."""
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    fitting = [member for member in members if _named(member, data)]
    if not steps:
        yield from fitting
        return
    step, rest = steps[0], steps[1:]
    tags = [member.tag for member in members if isinstance(member, inspect.StructType) and member.tag_field == step]
    if tags:
        yield inspect.LiteralType(tuple(tag for tag in tags if tag is not None))
        return
    for member in fitting:
        if isinstance(member, inspect.StructType):
            inside = data.get(step) if isinstance(data, Mapping) else None
            for field in member.fields:
                if field.encode_name == step:
                    yield from _types(field.type, rest, inside)
        elif isinstance(member, inspect.VarTupleType) and step.startswith("["):
            index = step[1:-1]
            item = data[int(index)] if isinstance(data, list | tuple) and index.isdecimal() else None
            yield from _types(member.item_type, rest, item)


def _names(struct: inspect.StructType) -> list[str]:
    """The fields of a struct, that of its tag first."""
    tag = [] if struct.tag_field is None else [struct.tag_field]
    return tag + [field.encode_name for field in struct.fields]


def _named(member: inspect.Type, data: object) -> bool:
    """Whether the data may be of the type, going by the tag of a struct."""
    if not isinstance(member, inspect.StructType) or member.tag is None or not isinstance(data, Mapping):
        return True
    return bool(data.get(member.tag_field) == member.tag)
