from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import cli
from app.files import read_json
from app.sweeps.spec import SweepSpec
from tests.app.sweeping import IMPOSSIBLE, NETWORKS, SWEEP, run_here, write, written

PATIENCE_SECONDS = 60.0
# A shell that runs something in the background has it ignore SIGINT, and so do the processes that this starts.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from app.cli import main
main()
"""


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of a command line in this process."""
    monkeypatch.setattr(sys, "argv", ["sobolite", "sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_the_command_writes_report_and_page(
    sweep_folder: Path,
    tmp_path: Path,
    tiny_text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path, tiny_text)
    assert command(monkeypatch, path, "--folder", sweep_folder, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    report = read_json(Path(answer["report"]))
    assert report["command"].startswith("sobolite sweep")
    assert answer["smallest"] == report["smallest"]
    assert len(answer["missing"]) == IMPOSSIBLE
    assert "by intervals" in Path(answer["page"]).read_text(encoding="utf-8")
    assert command(monkeypatch, path, "--folder", sweep_folder) == 0
    said = capsys.readouterr()
    assert "fewest parameters with gamma R2 >= 0.0 on every seed" in said.out
    assert f"{IMPOSSIBLE} impossible cases skipped" in said.err


def test_a_failed_case_fails_the_command_and_a_wrong_one_is_bad_usage(
    tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tiny_text.replace("samples = 32", "samples = 32\ndirections = 5"))
    assert command(monkeypatch, path, "--folder", tmp_path / "sweep", "--workers", "1") == 1
    said = capsys.readouterr()
    assert "failed: from scratch 2 seed 1: the dense network of seed 1" in said.err
    assert "none" in said.out
    path.write_text(SWEEP.replace("magnitude", "magnitud"))
    assert command(monkeypatch, path) == 2
    assert "methods[0].method" in capsys.readouterr().err


def test_an_interrupted_command_keeps_what_has_finished_and_goes_on(
    sweep_spec: SweepSpec, tmp_path: Path, tiny_text: str
) -> None:
    write(tmp_path, tiny_text)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", INTERRUPTIBLE, "sweep", "sweep.toml", "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not written(tmp_path / "sweep") and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    kept = written(tmp_path / "sweep")
    assert 0 < len(kept) < NETWORKS + IMPOSSIBLE
    run_here(sweep_spec, tmp_path / "sweep")
    after = written(tmp_path / "sweep")
    assert len(after) == NETWORKS + IMPOSSIBLE
    assert all(after[path] == when for path, when in kept.items())
