"""docs/architecture.md, held against the folders; and how many modules may lie directly in a package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
# Modules directly in a package, its own docstring aside: more are a floor without rooms.
MOST = {"pricing": 12, "surrogate": 10, "pruning": 10, "app": 9}


def rooms() -> set[str]:
    """Every folder below the packages that holds a module."""
    folders = {path.parent for package in MOST for path in (ROOT / package).rglob("*.py")}
    return {str(folder.relative_to(ROOT)) for folder in folders} - set(MOST)


def test_the_page_has_every_room_and_no_other() -> None:
    assert set(re.findall(r"^\| `([a-z_/]+)` \|", PAGE, re.MULTILINE)) == rooms()


def test_every_file_on_the_page_is_there() -> None:
    named = set(re.findall(r"`((?:pricing|surrogate|pruning|app|tests|docs)/[\w/]*(?:\.\w+)?)`", PAGE))
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("package", MOST)
def test_few_modules_lie_directly_in_a_package(package: str) -> None:
    modules = [path.stem for path in (ROOT / package).glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= MOST[package], f"give these rooms: {sorted(modules)}"
