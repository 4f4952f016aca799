from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer
from msgspec import inspect
from typer.testing import CliRunner

from app.commands.fields import option_type, with_fields
from pricing.specs.base import Spec
from pruning.spec import PruningSpec


class Small(Spec, frozen=True, kw_only=True):
    """A specification.

    Args:
        share: of the whole.
        size: most numbers.
        deep: whether all of it.
        inner: a table.
    """

    share: float
    size: int | None = None
    deep: bool = False
    inner: PruningSpec | None = None


def command() -> tuple[typer.Typer, list[dict[str, Any]]]:
    calls: list[dict[str, Any]] = []
    app = typer.Typer()

    @app.command()
    @with_fields(Small, beside=frozenset({"size"}))
    def act(name: Annotated[str, typer.Argument()], loud: bool = False, **given: Any) -> None:
        """Act."""
        calls.append({"name": name, "loud": loud, **given})

    return app, calls


def test_what_is_given_arrives_and_nothing_else() -> None:
    app, calls = command()
    for arguments in (["x"], ["x", "--share", "0.5", "--no-deep", "--loud"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert calls == [{"name": "x", "loud": False}, {"name": "x", "loud": True, "share": 0.5, "deep": False}]


def test_help_is_what_the_docstring_says() -> None:
    app, _ = command()
    said = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert "Of the whole." in said
    assert "--size" not in said
    assert "--inner" not in said


def test_a_type_that_no_option_has_is_told() -> None:
    with pytest.raises(TypeError, match="no option is given as"):
        option_type(inspect.type_info(dict[str, int]))
