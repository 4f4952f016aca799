from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest
import torch

from app.pipeline import environment as module
from app.pipeline.environment import PACKAGES, ROOT, Source, environment, git, processor, source_of
from surrogate.artifact.files import files, read


def run(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of a module of ours."""
    root = tmp_path / "tree"
    (root / "app").mkdir(parents=True)
    (root / "app" / "main.py").write_text("a = 1\n")
    (root / "notes.txt").write_text("notes\n")
    run(root.parent, "init", "-q", "-b", "main", str(root))
    run(root, "add", ".")
    run(root, "commit", "-q", "-m", "first")
    return root


def test_it_says_where_this_runs() -> None:
    here = environment()
    assert (here.architecture, here.threads) == (platform.machine(), torch.get_num_threads())
    assert here.instruction_set["torch"] == torch.backends.cpu.get_cpu_capability()
    assert here.instruction_set["numpy"]
    assert here.processor == processor() != ""
    assert platform.python_version() in here.python
    assert platform.release() in here.system
    assert environment() == here  # no clock in it


def test_a_system_without_cpuinfo_has_a_name_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "absent")
    assert processor() in (platform.processor(), platform.machine())


def test_the_commit_is_that_of_the_tree(checkout: Path) -> None:
    source = source_of(checkout)
    assert source.commit is not None
    assert len(source.commit) == 40
    assert source.changed is False
    (checkout / "notes.txt").write_text("others\n")
    assert source_of(checkout) == source
    (checkout / "app" / "new.py").write_text("b = 2\n")
    assert source_of(checkout) == Source(source.commit, True)
    (checkout / "app" / "new.py").unlink()
    (checkout / "app" / "main.py").write_text("a = 2\n")
    assert source_of(checkout).changed is True


def test_what_is_installed_in_somebody_elses_repository_has_no_commit(checkout: Path, tmp_path: Path) -> None:
    installed = checkout / "app"
    assert source_of(installed) == source_of(tmp_path) == Source(None, None)
    empty = tmp_path / "empty"
    empty.mkdir()
    run(tmp_path, "init", "-q", str(empty))
    assert source_of(empty) == Source(None, None)


def test_a_hook_of_another_repository_does_not_mislead(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another" / ".git"))
    assert source_of(checkout).commit is not None


def test_without_git_nothing_is_known(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git(checkout, "rev-parse", "HEAD") is None
    assert source_of(checkout) == Source(None, None)


def test_the_packages_are_those_of_this_tree() -> None:
    assert all((ROOT / package / "__init__.py").exists() for package in PACKAGES)


def test_it_is_a_file_of_its_own(tiny_registry: Path) -> None:
    folder = tiny_registry / "tiny" / "1"
    made = read(folder)
    assert made.environment == environment()
    assert "environment.json" in files(made)
    assert "environment.json" in (folder / "SHA256SUMS").read_text()
    assert "processor" not in (folder / "manifest.json").read_text()
