"""Publish, killed before the n-th system call or SQL statement, for every n; then publish again and look.

Prints how often the kill came before the rename, between rename and commit, and after the commit. Run by test_registry.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.registry.database import DATABASE
from app.registry.registry import Registry
from app.settings import bundled_models
from surrogate.artifact.files import read

ARTIFACT = replace(read(bundled_models() / "bachelier-basket-7" / "1"), model=b"model")
EVENTS = ("open", "os.", "shutil.", "pathlib.")


class Killer:
    """Counts events and kills this process before the n-th."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, _: tuple[Any, ...]) -> None:
        if event.startswith(EVENTS) and event != "os.kill":
            self()


def publish_in_child(root: Path, n: int) -> bool:
    """Whether a publish that may make ``n`` calls got to its end."""
    child = os.fork()
    if child == 0:
        registry = Registry(root)
        killer = Killer(n)
        sa.event.listen(registry._engine, "before_cursor_execute", killer)
        sys.addaudithook(killer.audit)
        registry.publish("basket", ARTIFACT, job_id="job")
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def state(root: Path) -> tuple[bool, bool]:
    """Whether the version has a folder, and whether it has a row."""
    with closing(sqlite3.connect(root / DATABASE)) as database:  # a registry would add the row that is lost
        row = database.execute("SELECT version FROM model_version").fetchall() == [(1,)]
    return (root / "basket" / "1").exists(), row


def main() -> None:
    """Kill everywhere."""
    found = {(False, False): 0, (True, False): 0, (True, True): 0}
    template = Path(tempfile.mkdtemp())
    Registry(template).close()
    for n in itertools.count():
        root = Path(tempfile.mkdtemp())
        shutil.copytree(template, root, dirs_exist_ok=True)
        finished = publish_in_child(root, n)
        found[state(root)] += 1  # KeyError: a row without its folder
        registry = Registry(root)
        assert registry.publish("basket", ARTIFACT, job_id="job") == 1
        assert registry.versions("basket") == [1]
        assert read(registry.folder("basket", 1)) == ARTIFACT
        assert sorted(path.name for path in (root / "basket").iterdir()) == ["1", "aliases"]
        registry.close()
        shutil.rmtree(root)
        if finished:
            break
    shutil.rmtree(template)
    sys.stdout.write(" ".join(map(str, found.values())))


if __name__ == "__main__":
    main()
