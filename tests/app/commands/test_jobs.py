from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_jobs_without_a_worker(run: Run) -> None:
    assert json.loads(run("jobs", "list", "--json").out) == []
    for command in ("show", "watch", "cancel", "resume"):
        result = run("jobs", command, "nobody")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: no job 'nobody'")
