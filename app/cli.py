"""The command line. Exit codes: 0 done, 1 failed, 2 bad usage or bad input; an error is one sentence on stderr."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from app.commands import build, jobs, models, price, serve
from app.errors import EXPECTED, STATUS

FAILED, BAD_INPUT = 1, 2

app = typer.Typer(
    help="Option-pricing surrogates: simulate, train, prune, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve.serve)
app.command("worker")(serve.work)
app.command()(build.build)
app.command()(build.train)
app.command()(build.prune)
app.command()(price.price)
app.command()(build.evaluate)
app.command()(build.methods)
app.add_typer(models.app, name="models")
app.add_typer(jobs.app, name="jobs")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except ValidationError as error:
        settings = "; ".join(f"SOBOLITE_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        fail(settings, BAD_INPUT)
    except ModuleNotFoundError as error:
        fail(f"{error}: this command needs pip install 'sobolite[train]'", FAILED)
    except EXPECTED as error:
        fail(str(error), exit_code(error))


def exit_code(error: Exception) -> int:
    """2 where an HTTP client would be told that the request is at fault (4xx), else 1."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    return BAD_INPUT if status is not None and 400 <= status < 500 else FAILED


def fail(sentence: str, code: int) -> None:
    """Say why on stderr and exit."""
    typer.echo(f"error: {sentence}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
