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

# "... - at `$.problem.process.volatilities[0]`"
PLACE = re.compile(r"^(?P<fault>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")


def explain(error: msgspec.ValidationError, kind: Any, data: object) -> InvalidSpec:
    """The error as a sentence, with the path and the bound of the field."""
    match = PLACE.match(str(error))
    fault, path = (match["fault"], match["path"]) if match else (str(error), "")
    cause, bound = error.__cause__, None
    if isinstance(cause, InvalidSpec):
        inner = cause.fields.get("path")
        path, bound = ".".join(part for part in (path, inner) if part), cause.fields.get("bound")
    choices = list(_choices(inspect.type_info(kind), STEP.findall(path), data))
    if choices:
        fault, bound = f"{fault}; choose one of {', '.join(choices)}", choices
    return InvalidSpec(f"{fault} - at `{path or 'the top level'}`", path=path, bound=bound)


def _choices(kind: inspect.Type, steps: list[str], data: object) -> Iterator[str]:
    """The words that are allowed at the end of ``steps``; nothing where any value of a type may stand."""
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if not steps:
        for member in members:
            if isinstance(member, inspect.LiteralType):
                yield from map(str, member.values)
        return
    step, rest = steps[0], steps[1:]
    structs = [member for member in members if isinstance(member, inspect.StructType)]
    if not rest and any(struct.tag_field == step for struct in structs):
        yield from (str(struct.tag) for struct in structs)
        return
    inside = data.get(step) if isinstance(data, Mapping) else None
    for struct in structs:
        if struct.tag is None or not isinstance(data, Mapping) or data.get(struct.tag_field) == struct.tag:
            yield from (
                word
                for field in struct.fields
                if field.encode_name == step
                for word in _choices(field.type, rest, inside)
            )
    for member in members:
        if isinstance(member, inspect.VarTupleType) and step.startswith("["):
            index = step[1:-1]
            item = data[int(index)] if isinstance(data, list | tuple) and index.isdigit() else None
            yield from _choices(member.item_type, rest, item)
