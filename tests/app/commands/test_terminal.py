from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.commands.terminal import find_version, read_settings, show_json, show_table
from app.errors import UnknownModel, UnknownVersion
from app.registry.registry import Registry


def test_a_reference_names_a_folder(tiny_registry: Path) -> None:
    registry = Registry(tiny_registry)
    assert find_version(registry, "tiny@2") == find_version(registry, "tiny@latest") == tiny_registry / "tiny" / "2"
    with pytest.raises(UnknownModel):
        find_version(registry, "other")
    with pytest.raises(UnknownVersion):
        find_version(registry, "tiny@9")
    registry.close()


def test_processes_started_from_here_know_the_registry(tmp_path: Path) -> None:
    assert read_settings(tmp_path).registry == tmp_path
    assert os.environ["SOBOLITE_REGISTRY"] == str(tmp_path)
    assert read_settings(None).registry == tmp_path


def test_names_are_shown_whole_and_nothing_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 100
    show_table(("name", "what", "version"), [(name, "w" * 100, None)])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "what", "version"]
    assert name in rows[0]
    assert "None" not in rows[0]
    show_json({"a": [1.5]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1.5\n  ]\n}\n'
