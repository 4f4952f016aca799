"""The JSON schema of a specification, its fields described by the docstrings of their structs. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from app.specification.jobs import KINDS, JobKind

# "name: text" or "name, name: text", which lines of a deeper indent continue.
FIELD = re.compile(r"(?P<indent> *)(?P<names>\w+(, \w+)*): (?P<text>.*)")


def document(kind: JobKind) -> dict[str, Any]:
    """The JSON schema of a job's specification, for a file of its own."""
    (schema,), definitions = msgspec.json.schema_components([KINDS[kind]], ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": described(definitions)}


def components(template: str) -> dict[str, Any]:
    """The schemas of all kinds of jobs and of all they hold, by name.

    Args:
        template: of a reference to one of them, with its ``{name}``.
    """
    _, definitions = msgspec.json.schema_components(KINDS.values(), ref_template=template)
    return described(definitions)


def described(definitions: dict[str, Any]) -> dict[str, Any]:
    """The schemas with the docstrings of their structs as descriptions, of the structs and of their fields."""
    for struct in structs():
        definition, meanings = definitions.get(struct.__name__), fields(struct)
        if definition is None:
            continue
        definition["description"] = summary(struct)
        for name, schema in definition["properties"].items():
            if name in meanings:
                schema["description"] = meanings[name]
    return definitions


def structs() -> list[type[msgspec.Struct]]:
    """Every struct that a specification may hold, in the order in which their fields are declared."""
    ordered: dict[type[msgspec.Struct], None] = {}
    for kind in inspect.multi_type_info(KINDS.values()):
        ordered |= dict.fromkeys(_structs(kind))
    return list(ordered)


def _structs(kind: inspect.Type) -> Iterator[type[msgspec.Struct]]:
    for struct in members(kind):
        yield struct.cls
        for field in struct.fields:
            yield from _structs(field.type)


def members(kind: inspect.Type) -> list[inspect.StructType]:
    """The structs that may stand at a place, in a list or not."""
    if isinstance(kind, inspect.VarTupleType):
        return members(kind.item_type)
    types = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [member for member in types if isinstance(member, inspect.StructType)]


def summary(struct: type[msgspec.Struct]) -> str:
    """What the docstring says of the struct as a whole."""
    lines = _text(struct).splitlines()
    names = set(struct.__struct_fields__)
    end = next((i for i, line in enumerate(lines) if line == "Args:" or _field(line, names)), len(lines))
    return "\n".join(lines[:end]).strip()


def fields(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the docstrings of the struct and of its bases say of each field, the own one first."""
    meanings: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct):
            meanings |= _own_fields(_text(base), set(struct.__struct_fields__))
    return meanings


def _text(struct: type[msgspec.Struct]) -> str:
    return cleandoc(struct.__dict__.get("__doc__") or "").replace("``", "`")


def _own_fields(text: str, known: set[str]) -> dict[str, str]:
    meanings: dict[str, list[str]] = {}
    names, indent = list[str](), 0
    for line in text.splitlines():
        start = _field(line, known)
        if start:
            names, indent = start["names"].split(", "), len(start["indent"])
            meanings |= {name: [start["text"]] for name in names}
        elif line.strip() and len(line) - len(line.lstrip()) > indent:
            for name in names:
                meanings[name].append(line.strip())
        else:
            names = []
    return {name: " ".join(lines) for name, lines in meanings.items()}


def _field(line: str, known: set[str]) -> re.Match[str] | None:
    """The match of a line that describes fields, None of another one."""
    match = FIELD.fullmatch(line)
    return match if match and set(match["names"].split(", ")) <= known else None
