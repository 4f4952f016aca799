"""What a shell offers on Tab: models, their versions and aliases. Nothing is made, moved or explained on the way."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, redirect_stdout

import typer
from pydantic import ValidationError

from app.errors import EXPECTED
from app.registry.database import DATABASE
from app.registry.recovery import LATEST
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.name import CHAMPION

# What typer's scripts tell a program that is to complete, and what they ask bash for.
ASKED, BASH = "_SOBOLITE_COMPLETE", "complete_bash"
WORDS, PLACE = "COMP_WORDS", "COMP_CWORD"


def offer_models(context: typer.Context, incomplete: str) -> list[str]:
    """Names of models."""
    return sorted(name for name in known(context) if name.startswith(incomplete))


def offer_references(context: typer.Context, incomplete: str) -> list[str]:
    """Names of models, and after an @ the versions and aliases of one."""
    name, at, _ = incomplete.partition("@")
    if not at:
        return offer_models(context, incomplete)
    return [offer for word in known(context).get(name, ()) if (offer := f"{name}@{word}").startswith(incomplete)]


def offer_versions(context: typer.Context, incomplete: str) -> list[str]:
    """Versions and aliases of the model that the command names."""
    words = known(context).get(str(context.params.get("model")), ())
    return [word for word in words if word.startswith(incomplete)]


def known(context: typer.Context) -> dict[str, list[str]]:
    """Versions and aliases of every model, those that a command would bring included; none of a broken registry."""
    try:
        settings = Settings()
        root = context.params.get("registry") or settings.registry
        bundled: dict[str, list[str]] = {}
        for folder in sorted(settings.bundled.glob("*/[0-9]*")):
            bundled.setdefault(folder.parent.name, [CHAMPION, LATEST]).append(folder.name)
        if not (root / DATABASE).exists():
            return bundled
        registry = Registry(root)
    except (ValidationError, *EXPECTED):
        return {}
    published = {
        model["name"]: [*sorted(model["aliases"]), *map(str, reversed(model["versions"]))]
        for model in registry.catalogue()
    }
    registry.close()
    return bundled | published


@contextmanager
def whole_words(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Let bash complete MODEL@VERSION, which it takes apart before and after the @ and completes from the @ on."""
    if environment.get(ASKED) != BASH:
        yield
        return
    words, place = joined(environment[WORDS].split("\n"), int(environment[PLACE]))
    environment[WORDS], environment[PLACE] = "\n".join(words), str(place)
    name, at, _ = words[place].partition("@") if place < len(words) else ("", "", "")
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            yield
    finally:
        lines = answer.getvalue().splitlines(keepends=True)
        sys.stdout.write("".join(line.removeprefix(name) if at else line for line in lines))


def joined(words: list[str], place: int) -> tuple[list[str], int]:
    """Words with those around an @ made one again, and where the word under the cursor is among them.

    >>> joined(["sobolite", "price", "tiny", "@", "1", "--gamma", ""], 6)
    (['sobolite', 'price', 'tiny@1', '--gamma', ''], 4)
    >>> joined(["sobolite", "price", "tiny", "@"], 3)
    (['sobolite', 'price', 'tiny@'], 2)
    """
    whole: list[str] = []
    there = place
    for i, word in enumerate(words):
        after = i > 1 and words[i - 1] == "@" and word and not word.startswith("-")
        if whole and (word == "@" or after):
            whole[-1] += word
        else:
            whole.append(word)
        if i == place:
            there = len(whole) - 1
    return whole, there if place < len(words) else len(whole)
