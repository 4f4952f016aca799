from __future__ import annotations

import json
import subprocess
import sys

import pytest

BEGIN = """
import threading
from app.telemetry import configure_logging
from app.jobs.uncaught import log_uncaught
configure_logging("info")
log_uncaught()
"""


@pytest.mark.parametrize(
    ("script", "code", "event", "reason", "traced"),
    [
        ("1 / 0", 1, "process died", "division by zero", True),
        ("raise OSError('no such disk')", 1, "process died", "no such disk", False),
        ("t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start()", 0, "thread died", "division by zero", True),
    ],
)
def test_what_ends_a_process_or_a_thread_is_a_line_of_json(
    script: str, code: int, event: str, reason: str, traced: bool
) -> None:
    ended = subprocess.run([sys.executable, "-P", "-c", BEGIN + script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (code, "")
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (line["event"], line["level"], line["reason"]) == (event, "critical", reason)
    assert ("Traceback" in line.get("exception", "")) is traced
