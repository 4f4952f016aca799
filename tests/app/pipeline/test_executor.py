from __future__ import annotations

import os
import sys

import pytest

from app.errors import Unavailable
from app.pipeline.executor import ONE_THREAD, open_executor, open_map


def test_workers_are_processes_that_compute_on_one_thread() -> None:
    with open_executor(2) as executor:
        other = executor.submit(os.getpid).result()
        threads = {name: executor.submit(os.getenv, name).result() for name in ONE_THREAD}
    assert other != os.getpid()
    assert threads == ONE_THREAD


def test_an_exception_ends_the_workers() -> None:
    started = []

    def interrupted() -> None:
        with open_executor(1) as executor:
            started.append(executor.submit(os.getpid).result())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_cluster_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unavailable, match="cluster"), open_executor(1, "tcp://127.0.0.1:1"):
        pass


def process_of(_: int) -> int:
    return os.getpid()


def test_processes_of_a_map_start_when_it_is_asked() -> None:
    with open_map(2) as apply:
        assert os.getpid() not in apply(process_of, [1, 2, 3])
