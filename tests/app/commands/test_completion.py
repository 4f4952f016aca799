from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Complete = Callable[..., list[str]]


@pytest.fixture
def complete(run: Run, tiny_registry: Path, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What bash is offered for the last of the words, over a registry with two versions of ``tiny``."""

    def offers(*words: str, registry: Path = tiny_registry) -> list[str]:
        monkeypatch.setenv("SOBOLITE_REGISTRY", str(registry))
        monkeypatch.setenv("_SOBOLITE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("sobolite", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        result = run()
        assert (result.code, result.err) == (0, "")
        return result.out.split()  # type: ignore[no-any-return]

    return offers


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("price", "ti"), ["tiny"]),
        (("models", "show", ""), ["tiny"]),
        (("evaluate", "other"), []),
        (("prune", "tiny", "@"), ["@champion", "@latest", "@2", "@1"]),  # as bash takes tiny@ apart
        (("prune", "tiny", "@", "ch"), ["@champion"]),
        (("prune", "nobody", "@", "ch"), []),
        (("models", "alias", "tiny", "champion", ""), ["champion", "latest", "2", "1"]),
        (("models", "alias", "t"), ["tiny"]),
        (("prune", "tiny", "@", "1", "--method", "chi"), ["chita"]),
        (("build", "x.toml", "--progress", "p"), ["plain"]),
        (("flow", "learn", "x.csv", "--method", "obs"), ["obs", "obs_greedy"]),
    ],
    ids=" ".join,
)
def test_a_shell_is_offered(complete: Complete, words: tuple[str, ...], offered: list[str]) -> None:
    assert complete(*words) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_a_whole_reference(
    run: Run, tiny_registry: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("SOBOLITE_REGISTRY", str(tiny_registry))
    monkeypatch.setenv("_SOBOLITE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "sobolite price tiny@ch")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "tiny@champion" in run().out


def test_nothing_is_made_by_asking_and_a_broken_registry_offers_nothing(complete: Complete, tmp_path: Path) -> None:
    absent, broken = tmp_path / "absent", tmp_path / "broken"
    assert complete("price", "", registry=absent) == []
    assert not absent.exists()
    broken.mkdir()
    (broken / "registry.sqlite").write_text("no database")
    assert complete("price", "", registry=broken) == []


def test_what_the_next_command_would_bring_is_offered(
    complete: Complete, tiny_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOBOLITE_BUNDLED", str(tiny_registry))
    assert complete("price", "tiny", "@", registry=tmp_path / "absent") == ["@champion", "@latest", "@1", "@2"]
