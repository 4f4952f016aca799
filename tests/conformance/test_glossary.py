"""One word for one thing: docs/glossary.md, held against names, docstrings and pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PACKAGES = ("pricing", "surrogate", "pruning", "app")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {GLOSSARY})


def rows() -> list[list[str]]:
    """The cells of every row of the glossary's tables."""
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "word"]


def banned() -> dict[str, str]:
    """Every word that stands for another one elsewhere, with the one to use."""
    return {word.strip(): row[0] for row in rows() for word in row[2].split(",") if word.strip()}


BANNED = banned()
PATTERN = re.compile(rf"\b({'|'.join(sorted(map(re.escape, BANNED), key=len, reverse=True))})\b", re.IGNORECASE)


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names and docstrings of a module, names as words, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, spaced(node.name)
        elif isinstance(node, ast.arg):
            yield node.lineno, spaced(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, spaced(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def spaced(name: str) -> str:
    """A name as words.

    >>> spaced("fair_value"), spaced("StrikePrice")
    ('fair value', 'Strike Price')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")


def hits(place: str, text: str) -> list[str]:
    """What is wrong with a text, as sentences."""
    return [f"{place}: {match[0]!r}, say {BANNED[match[0].lower()]}" for match in PATTERN.finditer(text)]


def test_a_word_is_there_once() -> None:
    terms = [term.strip() for row in rows() for term in row[0].split(",")]
    assert len(set(terms)) == len(terms)
    assert not set(terms) & set(BANNED)
    assert all(len(row) == 3 and row[1] for row in rows())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_docstrings_use_the_words(path: Path) -> None:
    tree = ast.parse(path.read_text())
    place = path.relative_to(ROOT)
    assert not [hit for number, text in words(tree) for hit in hits(f"{place}:{number}", text)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_use_the_words(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), 1)
    assert not [hit for number, line in lines for hit in hits(f"{path.name}:{number}", line)]


def test_a_synonym_is_found() -> None:
    tree = ast.parse('def f(expiry):\n    """Of the underlying."""\n    fair_value = 1.0')
    assert len([hit for number, text in words(tree) for hit in hits(str(number), text)]) == 3
