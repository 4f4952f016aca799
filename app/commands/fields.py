"""Options of a command that are the fields of a specification: names, types, choices and help stand there alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import typer
from msgspec import inspect as specs

from app.specification.page import default
from app.specification.schema import fields

# More choices than this are named by a wrong one, not by the help.
MANY = 8
NO_OFFERS: Mapping[str, Sequence[str]] = MappingProxyType({})


def field_options(
    struct: type, *, beside: frozenset[str] = frozenset(), offers: Mapping[str, Sequence[str]] = NO_OFFERS
) -> dict[str, Any]:
    """A command's options by field: every field that is a word, a number, a switch or a list of words.

    Args:
        beside: fields that the command has options of its own for; tables have none.
        offers: what a shell completes a word by that may be any text, by field.
    """
    kind, meanings = specs.type_info(struct), fields(struct)
    assert isinstance(kind, specs.StructType)
    options = {}
    for field in kind.fields:
        if field.name not in beside and (annotation := option_type(field.type)) is not None:
            text, left_out = meanings[field.name], default(field).strip("`")
            shown = "" if left_out in ("required", "none") else f" (default: {left_out})"
            many = isinstance(field.type, specs.LiteralType) and len(field.type.values) > MANY
            options[field.name] = Annotated[
                annotation | None,
                typer.Option(
                    help=text[0].upper() + text[1:] + shown,
                    metavar=field.name.upper() if many else None,
                    autocompletion=offered(offers[field.name]) if field.name in offers else None,
                ),
            ]
    return options


def offered(words: Sequence[str]) -> Callable[[], list[str]]:
    """What a shell is offered, of which typer takes what fits."""
    return lambda: list(words)


def option_type(kind: specs.Type) -> Any:
    """What an option of this type is given as; None where it is a table."""
    match kind:
        case specs.UnionType(types=types):
            (one,) = (member for member in types if not isinstance(member, specs.NoneType))
            return option_type(one)
        case specs.LiteralType(values=values):
            return Literal[values]
        case specs.VarTupleType(item_type=specs.LiteralType()):
            return list[str]  # one after the other, or separated by commas
        case specs.FloatType():
            return float
        case specs.IntType():
            return int
        case specs.BoolType():
            return bool
        case specs.StrType():
            return str
        case specs.StructType():
            return None
        case _:
            raise TypeError(f"no option is given as {kind}")


def with_fields(
    struct: type, *, beside: frozenset[str] = frozenset(), offers: Mapping[str, Sequence[str]] = NO_OFFERS
) -> Callable[[Callable[..., None]], Any]:
    """Give a command with ``**given`` an option a field; ``given`` has those that were used, lists as lists."""
    options = field_options(struct, beside=beside, offers=offers)
    kind = specs.type_info(struct)
    assert isinstance(kind, specs.StructType)
    lists = {field.name for field in kind.fields if isinstance(field.type, specs.VarTupleType)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)

        def call(**arguments: Any) -> None:
            used = {name: arguments.pop(name) for name in options}
            given = {name: value for name, value in used.items() if value is not None}
            given |= {name: ",".join(given[name]).split(",") for name in lists & given.keys()}
            command(**arguments, **given)

        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in options.items()
        ]
        kept = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in own.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        call.__signature__ = inspect.Signature([*kept[:1], *added, *kept[1:]])  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *added)}
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        return call

    return decorate
