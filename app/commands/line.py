"""The command line. Exit codes: 0 done, 1 failed, 2 bad usage or bad input; an error is one sentence on stderr."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from pydantic import ValidationError

from app.commands import (
    build,
    dataset,
    evaluate,
    flow,
    jobs,
    models,
    price,
    prune,
    retrain,
    schema,
    serve,
    sweep,
    verify,
)
from app.commands.completion import whole_words
from app.commands.terminal import log_for_people
from app.errors import EXPECTED, INSTALL_TRAINING, STATUS, InvalidRequest
from app.settings import require_known_names, told
from app.specification.client_text import printable

FAILED, BAD_INPUT = 1, 2
# What a shell says of a command that SIGTERM has ended.
TERMINATED = 128 + signal.SIGTERM

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command("worker")(serve.work)
app.command()(build.build)
app.command()(build.train)
app.command()(prune.prune)
app.command()(retrain.retrain)
app.command()(sweep.sweep)
app.command()(price.price)
app.command()(evaluate.evaluate)
app.command()(verify.verify)
app.command()(build.methods)
app.command()(schema.schema)
app.add_typer(models.app, name="models")
app.add_typer(jobs.app, name="jobs")
app.add_typer(dataset.app, name="dataset")
app.add_typer(flow.app, name="flow")


def show_version(wanted: bool) -> None:
    """Print the version, if wanted, and exit."""
    if wanted:
        typer.echo(version("sobolite"))
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=show_version)
    ] = False,
) -> None:
    """Option-pricing surrogates: simulate, train, prune, serve."""
    log_for_people()
    try:
        require_known_names()
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def main() -> None:
    """Run the command that the arguments name."""
    # Leaving the blocks removes temporary folders; the long-running processes replace this by stops of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        with whole_words():
            app(prog_name="sobolite")
    except ValidationError as error:
        fail(told(error), BAD_INPUT)
    except ModuleNotFoundError as error:
        fail(f"{error}: this command needs {INSTALL_TRAINING}", FAILED)
    except EXPECTED as error:
        fail(str(error), exit_code(error))


def exit_code(error: Exception) -> int:
    """2 where an HTTP client would be told that the request is at fault (4xx), else 1."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    return BAD_INPUT if status is not None and 400 <= status < 500 else FAILED


def fail(sentence: str, code: int) -> None:
    """Say why on stderr and exit."""
    typer.echo(f"error: {printable(sentence)}", err=True)
    sys.exit(code)
