"""docs/specification.md: what a TOML file says, table by table, from the docstrings of the specifications."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import NODEFAULT, inspect

from app.specification.jobs import KINDS
from app.specification.schema import fields, members, summary
from pricing.specs.parameters import PARAMETERS

INTRODUCTION = """# What a specification says

Written by `sobolite schema --markdown > docs/specification.md`; the same as JSON schemas, for editors and clients:
`sobolite schema train`, `prune` and `retrain`. POST /v1/jobs takes `{"kind": "train", "spec": ...}` with these
tables as JSON. A field that is not listed here is refused. `examples/` has a file for every product.

Times are in years, rates per year and continuously compounded, volatilities per square root of a year. Dates within
a contract (`dates`) are shares of the maturity: `[0.5, 1.0]` is half-way and at the end, whatever the maturity. A
basket's strike is in currency; that of `worst_of`, `best_of` and `autocall` is a performance, a level over `initial`.

From a file, the command line takes two fields more: `dataset.file`, imported in place of `dataset.id`, and
`labels.sampler.table`, a CSV or NPZ file in place of `states`; both relative to the file.
"""


class Section(NamedTuple):
    """A struct and the first place where it stands."""

    path: str
    struct: inspect.StructType


def page() -> str:
    """The page as Markdown."""
    places: dict[type, str] = {}
    blocks = [INTRODUCTION]
    for name, kind in KINDS.items():
        root = inspect.type_info(kind)
        assert isinstance(root, inspect.StructType)
        first, *others = sections("", root, places)
        title = "The build" if name == "train" else f"The {name} job"
        blocks += [f'## {title}\n\n`{{"kind": "{name}", "spec": ...}}`.', *body(first, places)]
        for section in others:
            blocks += [heading(section), *body(section, places)]
            if section.path == "problem.features":
                blocks.append(features())
    return "\n\n".join(block.strip() for block in blocks if block) + "\n"


def sections(path: str, struct: inspect.StructType, places: dict[type, str]) -> Iterator[Section]:
    """The struct and all that it holds, depth first, each where it stands first; ``places`` is told where that is."""
    if struct.cls in places:
        return
    places[struct.cls] = path
    yield Section(path, struct)
    for field in struct.fields:
        for member in members(field.type):
            yield from sections(f"{path}.{field.encode_name}".lstrip("."), member, places)


def heading(section: Section) -> str:
    """The heading of a section that is not the first."""
    level = "#" * min(4, 2 + section.path.count("."))
    tag = f', {section.struct.tag_field} = "{section.struct.tag}"' if section.struct.tag is not None else ""
    return f"{level} `{section.path}`{tag}"


def body(section: Section, places: dict[type, str]) -> Iterator[str]:
    """What the struct is, and a table of its fields."""
    struct = section.struct
    yield summary(struct.cls)
    if not struct.fields:
        return
    meanings = fields(struct.cls)
    rows = [
        (f"`{field.encode_name}`", kind(field.type, places), default(field), meanings.get(field.name, ""))
        for field in struct.fields
    ]
    yield table(("field", "is", "default", "meaning"), rows)


def features() -> str:
    """The table of everything that may be a feature."""
    rows = [
        (f"`{name}`", parameter.has_it, parameter.coordinates, parameter.meaning)
        for name, parameter in PARAMETERS.items()
    ]
    return "The names of features:\n\n" + table(("name", "of", "coordinates", "meaning"), rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def kind(given: inspect.Type, places: dict[type, str], *, several: bool = False) -> str:
    """What may stand at a place, in words."""
    end = "s" if several else ""
    match given:
        case inspect.FloatType():
            return f"number{end}"
        case inspect.IntType():
            return f"integer{end}"
        case inspect.StrType():
            return f"text{end}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " or ".join(f"`{json.dumps(value)}`" for value in values)
        case inspect.DictType():
            return f"table{end}"
        case inspect.VarTupleType(item_type=item):
            return f"list{end} of {kind(item, places, several=True)}"
        case inspect.StructType(cls=cls):
            return f"table{end} `{places[cls]}`"
        case inspect.UnionType(types=types):
            words = [kind(one, places, several=several) for one in types if not isinstance(one, inspect.NoneType)]
            return " or ".join(dict.fromkeys(words))
        case _:
            raise TypeError(f"{given} is in no specification")


def default(field: inspect.Field) -> str:
    """The value of a field that is left out."""
    if field.required:
        return "required"
    if field.default is NODEFAULT and field.default_factory is NODEFAULT:  # not set at all
        return "none"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is None:
        return "none"
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        return "its defaults" if tag is None else f"`{tag}`"
    if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        return f"one `{value[0].__struct_config__.tag}`"
    return f"`{json.dumps(value)}`"
