from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.0])
def test_ctrl_c_while_it_starts_is_a_word_and_no_traceback(tmp_path: Path, seconds: float) -> None:
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "price",
        "nobody",
        "--registry",
        str(tmp_path),
        "--input",
        "-",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60.0)
    assert process.returncode in (130, -signal.SIGINT, 2), told  # the last where it had found no such model
    assert "Traceback" not in told


def test_it_is_the_command_line() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "app.cli", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip()[0].isdigit()
