from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["app.commands", "msgspec", "pricing", "numpy", "app.commands.line"])
def test_ctrl_c_while_it_starts_is_a_word_and_no_traceback(tmp_path: Path, module: str) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "app.cli",
        "price",
        "nobody",
        "--registry",
        str(tmp_path),
        "--input",
        "-",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # Each module that has been imported is a line whose last column is its name.
        assert any(line.rsplit("|", 1)[-1].strip() == module for line in process.stderr)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert told.endswith("stopped\n")
    assert "Traceback" not in told


def test_it_is_the_command_line() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "app.cli", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip()[0].isdigit()
