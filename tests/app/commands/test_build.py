from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.commands.build import TimeIsOver, time_limit, user
from app.registry.registry import Registry
from surrogate.artifact.files import verify

PATIENCE_SECONDS = 60.0
# The tiny model's optimiser, and one that somebody has to stop.
QUICK = '{ kind = "levenberg_marquardt", starts = 1, short = 3, finalists = 1, long = 3 }'
ENDLESS = '{ kind = "adam", epochs = 1_000_000 }'
Run = Callable[..., Any]


def test_a_build_publishes_and_writes_the_same_files(run: Run, tiny_file: Path, tmp_path: Path) -> None:
    result = run("build", tiny_file, "--output", tmp_path / "models" / "tiny" / "1", "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert (answer["model"], answer["version"]) == ("tiny", 1)
    assert verify(tmp_path / "models" / "tiny" / "1") == verify(Path(answer["folder"]))
    assert answer["accuracy"]["value"]["r2"] > 0.9
    again = run("build", tiny_file, "--output", tmp_path / "models" / "tiny" / "1")
    assert (again.code, "exists" in again.err) == (2, True)


def test_what_misses_its_requirement_is_kept_and_published_only_on_demand(run: Run, tiny_file: Path) -> None:
    text = tiny_file.read_text()
    tiny_file.write_text(text[: text.index("# Three neurons")])
    refused = run("build", tiny_file)
    assert refused.code == 1
    assert "not published: " in refused.err
    assert "try " in refused.err
    assert "whole Box" in refused.out
    assert verify(tiny_file.parent / "registry" / ".refused" / "tiny")
    forced = run("build", tiny_file, "--publish-anyway")
    assert forced.code == 0
    assert "published tiny@1" in forced.out
    assert "warning: it misses what was required of it: " in forced.out
    assert run("models", "alias", "tiny", "champion", "1").code == 2
    assert run("models", "alias", "tiny", "champion", "1", "--force").code == 0


def test_train_leaves_the_pruning_out(run: Run, tiny_file: Path) -> None:
    tiny_file.write_text(tiny_file.read_text() + '\n[pruning]\nmethod = "magnitude"\nsparsity = 0.5\n')
    pruned, whole = (json.loads(run(command, tiny_file, "--json").out) for command in ("build", "train"))
    assert pruned["network"]["parameters"] < whole["network"]["parameters"]
    assert (pruned["version"], whole["version"]) == (1, 2)


def test_a_terminated_build_leaves_no_files(tiny_file: Path, tmp_path: Path) -> None:
    tiny_file.write_text(tiny_file.read_text().replace(QUICK, ENDLESS))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-P", "-m", "app.cli", "build", str(tiny_file), "--registry", str(tmp_path / "registry")]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.DEVNULL) as build:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not list(temporary.glob("*/labels.json")):
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)
        build.send_signal(signal.SIGTERM)
        assert build.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


def test_ctrl_c_says_that_nothing_is_kept(tiny_file: Path, tmp_path: Path) -> None:
    tiny_file.write_text(tiny_file.read_text().replace(QUICK, ENDLESS))
    command = [sys.executable, "-P", "-m", "app.cli", "build", str(tiny_file), "--registry", str(tmp_path / "registry")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        for line in build.stderr:
            if "loss" in line:  # a heartbeat of the training: without a terminal losses are told as they come
                assert "train: " in line
                assert " gone" in line
                break
        build.send_signal(signal.SIGINT)
        said = build.stderr.read()
        assert build.wait(PATIENCE_SECONDS) == 130
    assert "stopped; no version was published and nothing is kept" in said
    assert "Traceback" not in said
    assert "tiny" not in Registry(tmp_path / "registry").names()


def test_progress_is_told_a_line_a_step_or_not_at_all(run: Run, tiny_file: Path) -> None:
    lines = run("build", tiny_file).err.splitlines()
    steps = [line.partition(":")[0] for line in lines]
    assert steps == ["estimate", "label", "train", "certify", "evaluate", "export", "done in 0"]
    assert run("build", tiny_file, "--progress", "none").err == ""
    refused = run("build", tiny_file, "--progress", "loud")
    assert (refused.code, "plain" in refused.err) == (2, True)


def test_a_smoke_build_publishes_nothing(run: Run, tiny_file: Path, tmp_path: Path) -> None:
    result = run("build", tiny_file, "--smoke", "--progress", "none")
    assert (result.code, result.err) == (0, "")
    assert f"{tiny_file} runs; a smoke build of" in result.out
    assert Registry(tmp_path / "registry").names() == []


def test_a_smoke_build_ends_when_its_time_is_over(run: Run, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.build.SMOKE_SECONDS", 0.3)
    result = run("build", tiny_file, "--smoke", "--progress", "none")
    assert result.code == 0
    assert "where 0.3 s of processor time were over; what comes after is not tried" in result.out


def work_for_ever() -> None:
    while True:
        sum(range(1000))


def test_work_within_its_time_is_left_alone() -> None:
    with time_limit(60.0):
        pass
    with pytest.raises(TimeIsOver), time_limit(0.01):
        work_for_ever()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_methods_have_papers_and_a_phase(run: Run) -> None:
    found = {row["method"]: row for row in json.loads(run("methods", "--json").out)}
    assert {"magnitude", "significance", "chita"} <= set(found)
    assert all(row["paper"] and row["summary"] for row in found.values())
    assert [found[name]["phase"] for name in ("ntk_sap", "rigl", "chita")] == ["before", "during", "after"]
    assert "phase" in run("methods").out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("seed = 1", "seed = one"), "not valid TOML"),
        (("samples = 32", "samples = 33"), "power of two"),
        (("samples = 32", 'samples = "many"'), "labels.samples"),
        (("volatilities = [0.2", "volatilities = [-0.2"), "volatilities[0] must be >= 0"),
        (("[1.0, 0.5], [0.5, 1.0]", "[1.0, 2.0], [2.0, 1.0]"), "positive definite"),
        (("[evaluation]", "[evaluatoin]"), "evaluatoin"),
    ],
)
def test_a_bad_specification_publishes_nothing(
    run: Run, tiny_file: Path, tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    tiny_file.write_text(tiny_file.read_text().replace(*change))
    result = run("build", tiny_file)
    assert (result.code, result.out) == (2, "")
    assert reason in result.err
    assert "Traceback" not in result.err
    assert Registry(tmp_path / "registry").names() == []


def test_the_estimate_is_told_first_and_nothing_is_refused(
    run: Run, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run("train", tiny_file)
    assert "estimate: " in told.err
    assert "of memory and 1 MiB of disk\n" in told.err
    monkeypatch.setenv("SOBOLITE_JOB_SECONDS", "1")
    beyond = run("build", tiny_file)
    assert (beyond.code, "a server would refuse it as a job" in beyond.err) == (0, True)


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number nobody has named."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    assert user() == f"user {getpass.getuser()}, command line"
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user() == f"user {os.getuid()}, command line"
