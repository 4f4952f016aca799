"""What every docstring holds to, package by package: tensors state their shapes, and formulas read as formulas."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
# Packages that are held to the rules, and folders of them that are not yet; surrogate, pruning and app are to join.
PACKAGES = ("pricing", "surrogate", "pruning", "app")
NOT_YET = ()
# Types whose values have a shape.
TENSORS = {"Tensor", "Array", "BoolArray", "NDArray", "ndarray"}
# "Shape: batch path -> batch.", also within "Args:".
SHAPE = re.compile(r"Shape:\s+\S")
# A first word that may be a symbol: one capital letter, or a capitalised name that an operator follows.
LETTER = re.compile(r"([A-Z])(?![A-Za-z])")
NAME = re.compile(r"([A-Z][A-Za-z]+)(?=\(| [/*=^<>] )")
# "A path", not "A z" or "A(k)".
ARTICLE = re.compile(r"A [a-z]{2,}")
# A symbol wherever it stands, which in text the article is not.
SYMBOL = r"(?<![A-Za-z'`]){}(?![A-Za-z'])"
FUNCTIONS = {"exp", "ln", "log", "max", "min", "sqrt"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Documented(NamedTuple):
    """A function with where it stands."""

    place: str
    node: Function

    @property
    def docstring(self) -> str:
        """What it says, "" where it says nothing."""
        return ast.get_docstring(self.node) or ""

    @property
    def annotations(self) -> list[ast.expr]:
        """Of its parameters and result."""
        given = self.node.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        return [
            annotation
            for annotation in (*(p.annotation for p in parameters if p is not None), self.node.returns)
            if annotation is not None
        ]

    @property
    def names(self) -> set[str]:
        """Of its parameters and of what it computes."""
        return {n.arg for n in ast.walk(self.node) if isinstance(n, ast.arg)} | {
            n.id for n in ast.walk(self.node) if isinstance(n, ast.Name)
        }


def members(body: list[ast.stmt], place: str) -> Iterator[Documented]:
    """Functions of a module, and methods of its classes; functions within functions are nobody's interface."""
    for node in body:
        if isinstance(node, Function):
            yield Documented(place=f"{place}:{node.lineno} {node.name}", node=node)
        elif isinstance(node, ast.ClassDef):
            yield from members(node.body, place)


def functions(package: str) -> list[Documented]:
    """All functions and methods of a package."""
    files = {str(file.relative_to(ROOT)): file for file in sorted((ROOT / package).rglob("*.py"))}
    assert files, f"no package {package}"
    return [
        function
        for place, file in files.items()
        if not place.startswith(NOT_YET)
        for function in members(ast.parse(file.read_text()).body, place)
    ]


def has_tensors(function: Documented) -> bool:
    """Whether a parameter or the result is a tensor or array, or holds some."""
    named = {
        node.id if isinstance(node, ast.Name) else node.attr
        for annotation in function.annotations
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    return bool(named & TENSORS)


def broken_symbol(function: Documented) -> str | None:
    """The symbol that a docstring begins with in capitals although it is used in lower case; None where none is."""
    docstring, names = function.docstring, function.names
    if (name := NAME.match(docstring)) is not None and name[1].lower() in names | FUNCTIONS:
        return name[1]
    letter = None if ARTICLE.match(docstring) else LETTER.match(docstring)
    if letter is None:
        return None

    def used(symbol: str) -> bool:
        elsewhere = None if symbol in "aA" else re.search(SYMBOL.format(symbol), docstring[letter.end() :])
        return symbol in names or elsewhere is not None

    return letter[1] if used(letter[1].lower()) and not used(letter[1]) else None


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_of_tensors_state_their_shapes(package: str) -> None:
    silent = [
        function.place
        for function in functions(package)
        if not function.node.name.startswith("_") and has_tensors(function) and not SHAPE.search(function.docstring)
    ]
    assert not silent, (
        "every public function with a Tensor, Array or ndarray among its parameters or results says 'Shape: ... -> "
        f"...' in its docstring, in the axis words of pricing/types.py; these do not: {silent}"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_begins_with_a_symbol_in_the_wrong_case(package: str) -> None:
    broken = [
        f"{function.place} ({symbol!r})"
        for function in functions(package)
        if (symbol := broken_symbol(function)) is not None
    ]
    assert not broken, (
        "a docstring that begins with a formula keeps its case ('x of a call, -x of a put', not 'X of a call'); begin "
        f"with a word, or put the symbol in double backticks: {broken}"
    )
