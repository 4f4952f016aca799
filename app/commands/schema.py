"""``sobolite schema``: what a specification may say, for editors, clients and readers."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import show_json
from app.specification.jobs import JobKind
from app.specification.page import page
from app.specification.schema import document


def schema(
    kind: Annotated[JobKind, typer.Argument(metavar="[train|prune|retrain]", help="Of which job.")] = "train",
    markdown: Annotated[bool, typer.Option("--markdown", help="Both as the page docs/specification.md.")] = False,
) -> None:
    """Print the JSON schema of a specification."""
    if markdown:
        typer.echo(page(), nl=False)
        return
    show_json(document(kind))
