"""docs/sources.md, held against the repository: paths, names, options and states."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sources.md"
HEADER = ["statement", "code", "command", "result", "state"]
TALKS = ("Towards Sobolev Pruning", "Fast as CHITA", "Efficient Deep Learning", "NTK-SAP")
STATE = re.compile(
    r"works|works differently, because .+|(?:partly|missing); not yet: .+|out of scope, because .+", re.DOTALL
)
# Folders whose files a command may name; its other words stand for a reader's own files, models and values.
OURS = ("benchmarks/", "docs/", "examples/", "models/")
# Options whose value is one of a closed list, with the name of the list in pruning/spec.py.
CLOSED = {"--method": "MethodName", "--rows": "RowsName"}


class Row(NamedTuple):
    """A statement of a talk."""

    talk: str
    statement: str
    code: str
    command: str
    result: str
    state: str


def cells(line: str) -> list[str]:
    r"""Of a row of a table; ``\|`` is no border."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def rows() -> list[Row]:
    """Every row of the tables with the page's header."""
    found, talk, inside = list[Row](), "", False
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            talk = line[3:]
        if not line.startswith("|"):
            inside = False
        elif cells(line) == HEADER:
            inside = True
        elif inside and not line.startswith("|---"):
            found.append(Row(talk, *cells(line)))
    return found


ROWS = rows()
EACH = pytest.mark.parametrize("row", ROWS, ids=[f"{row.talk}-{number}" for number, row in enumerate(ROWS)])


def quoted(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


@cache
def tree(path: Path) -> ast.Module:
    """A module, read and not run."""
    return ast.parse(path.read_text())


def members(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a module or class defines, by name."""
    found = dict[str, ast.stmt]()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


def wrong_name(reference: str) -> str | None:
    """What is wrong with "path" or "path::name" or "path::Class.member", if anything."""
    path, _, name = reference.partition("::")
    if not (ROOT / path).is_file():
        return f"{path} is no file"
    body = tree(ROOT / path).body if name else []
    for part in name.split(".") if name else []:
        found = members(body).get(part)
        if found is None:
            return f"{path} has no {name}"
        body = found.body if isinstance(found, ast.ClassDef) else []
    return None


def wrong_command(command: str) -> list[str]:
    """What is wrong with a command, as sentences."""
    program, first, *others = shlex.split(command)
    wrong = [f"{word} is not there" for word in others if word.startswith(OURS) and not (ROOT / word).exists()]
    match program:
        case "pytest":
            found = wrong_name(first)
            return [*wrong, found] if found else wrong
        case "python":
            return wrong + wrong_benchmark(first, others)
        case "sobolite":
            return wrong + wrong_sobolite(first, others)
        case _:
            return [f"{program} is no program of ours"]


def wrong_benchmark(script: str, words: list[str]) -> list[str]:
    """What keeps a script from being one that CI runs in smoke mode, or an option that it lacks."""
    if not re.fullmatch(r"benchmarks/\w+\.py", script) or not (ROOT / script).is_file():
        return [f"{script} is no benchmark that CI runs"]
    known = words_of(tree(ROOT / script))
    return [f"{script} has no {option}" for option in ("--smoke", *options(words)) if option not in known]


def wrong_sobolite(name: str, words: list[str]) -> list[str]:
    """A command or an option that there is not, or a value that is not in its list."""
    if name not in commands():
        return [f"sobolite has no {name}"]
    specification = members(tree(ROOT / "pruning" / "spec.py").body)
    module = tree(commands()[name])
    known = words_of(module) | {option(each.arg) for each in ast.walk(module) if isinstance(each, ast.arg)}
    if name == "prune":
        struct = specification["PruningSpec"]
        assert isinstance(struct, ast.ClassDef)
        known |= {option(field) for field in members(struct.body)}
    wrong = [f"sobolite {name} has no {word}" for word in options(words) if word not in known]
    return wrong + [
        f"{word} has no {value}"
        for word, value in pairwise(words)
        if word in CLOSED and value not in words_of(specification[CLOSED[word]])
    ]


def options(words: list[str]) -> list[str]:
    """Of the words of a command."""
    return [word for word in words if word.startswith("--")]


def option(name: str) -> str:
    """What a parameter is typed as."""
    return f"--{name.replace('_', '-')}"


def words_of(node: ast.AST) -> set[str]:
    """All text in a piece of code."""
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


@cache
def commands() -> dict[str, Path]:
    """The file of every command of sobolite, by `app.command("name")(module.function)` and `app.add_typer`."""
    found = dict[str, Path]()
    for node in ast.walk(tree(ROOT / "app" / "commands" / "line.py")):
        if isinstance(node, ast.Call) and node.args and isinstance(function := node.args[0], ast.Attribute):
            own = [each.value for each in node.keywords if each.arg == "name"]
            given = own or (node.func.args if isinstance(node.func, ast.Call) else [])
            name = given[0].value if given and isinstance(given[0], ast.Constant) else function.attr
            assert isinstance(function.value, ast.Name)
            found[str(name)] = ROOT / "app" / "commands" / f"{function.value.id}.py"
    return found


def test_every_talk_has_its_table() -> None:
    assert tuple(dict.fromkeys(row.talk for row in ROWS)) == TALKS


def test_no_statement_is_there_twice() -> None:
    assert len({(row.talk, row.statement) for row in ROWS}) == len(ROWS)


@EACH
def test_a_row_holds(row: Row) -> None:
    assert STATE.fullmatch(row.state)
    if row.state.startswith(("works", "partly")):
        assert quoted(row.code)
        # CI runs benchmarks and tests, and builds no model of full size.
        assert any(command.startswith(("python ", "pytest ")) for command in quoted(row.command))
    assert not [wrong for reference in quoted(row.code) if (wrong := wrong_name(reference))]
    assert not [wrong for command in quoted(row.command) for wrong in wrong_command(command)]


def test_ci_runs_every_benchmark_in_smoke_mode() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "benchmarks/*.py | xargs" in script
    assert '"$benchmark" --smoke' in script


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(((?!https?:)[^)]+)\)", PAGE.read_text())
    assert targets
    wrong = []
    for target in targets:
        file, _, anchor = target.partition("#")
        path = PAGE.parent / file
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            wrong.append(target)
    assert not wrong


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "command",
    [
        "python benchmarks/none.py",
        "python benchmarks/cases/stages.py",
        "python benchmarks/chita.py --unknown",
        "pytest tests/conformance/test_sources.py::test_of_nothing",
        "sobolite prone bachelier-basket-7",
        "sobolite prune bachelier-basket-7 --method nothing",
        "sobolite prune bachelier-basket-7 --unheard 1",
        "sobolite build examples/none.toml",
        "make test",
    ],
)
def test_what_cannot_be_typed_is_found(command: str) -> None:
    assert wrong_command(command)


@pytest.mark.parametrize(
    "reference", ["pruning/none.py", "pruning/spec.py::Nothing", "pruning/spec.py::PruningSpec.nothing"]
)
def test_a_name_that_is_not_there_is_found(reference: str) -> None:
    assert wrong_name(reference)
