from __future__ import annotations

import io
import sys
import time

import pytest
import typer

from app.commands import progress
from app.commands.progress import Standing, show_losses, show_progress, stopped_by_hand
from surrogate.report.curves import LossPoint

POINT = LossPoint(
    optimiser="adam", place=0, start=0, iteration=3, loss=1.2e-5, terms={"value": 1e-5}, held_out={"value": 2e-5}
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_time_left_is_that_of_what_was_seen() -> None:
    now = 100.0
    standing = Standing(clock=lambda: now)
    now = 110.0
    standing("train", 0.5)  # a job that somebody watches from its middle on
    assert standing.left is None
    now = 120.0
    standing("train", 0.75)
    assert standing.times() == "0:00:20 gone, about 0:00:10 left"
    assert standing.line() == "train: 75% of the whole, 0:00:20 gone, about 0:00:10 left"


def test_losses_are_those_of_the_running_step() -> None:
    standing = Standing()
    standing("train", 0.1)
    standing.hear(POINT)
    assert standing.line().endswith("loss 1.2e-05, held out value 2.0e-05")
    standing("certify", 0.8)
    assert "loss" not in standing.line()
    assert show_losses(LossPoint(optimiser="adam", place=0, start=0, iteration=3, loss=None, terms={})) == ""


def test_what_a_step_takes_is_said_at_once_and_until_it_ends() -> None:
    said = list[str]()
    standing = Standing(moved=lambda: said.append(standing.line()))
    standing("evaluate", 0.8)
    standing.take_note("1,024 points, about 140 s")
    assert said[-1].startswith("evaluate: 80% of the whole, 1,024 points, about 140 s, ")
    standing("export", 0.9)
    assert "points" not in said[-1]


def test_without_a_terminal_there_is_a_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as told:
        for share in (0.0, 0.1, 0.2):
            told("label", share)
        told("train", 0.25)
    said = capsys.readouterr()
    assert said.out == ""
    first, second, last = said.err.splitlines()
    assert first.startswith("label: 0% of the whole")
    assert second.startswith("train: 25% of the whole")
    assert last.startswith("done in 0:00:0")


def test_a_silent_step_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.01)
    with show_progress("plain") as told:
        told("evaluate", 0.5)
        told.hear(POINT)
        deadline, lines = time.monotonic() + 30.0, ""
        while lines.count("\n") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            lines += capsys.readouterr().err
    assert "evaluate: 50% of the whole" in lines
    assert "loss 1.2e-05" in lines
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", ["bar", "auto"])
def test_a_bar_has_step_share_loss_and_time(mode: progress.ProgressMode, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "160")
    with show_progress(mode) as told:
        told("label", 0.0)
        told("train", 0.25)
        told.hear(POINT)
    for part in ("train", "25%", "left", "loss 1.2e-05"):
        assert part in screen.getvalue()


def test_none_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("none") as told:
        told("label", 0.5)
    assert capsys.readouterr() == ("", "")


def test_a_failure_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="bad"), show_progress("plain"):
        raise ValueError("bad")
    assert "done" not in capsys.readouterr().err


def test_ctrl_c_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, stopped_by_hand("half of it is kept"):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert capsys.readouterr().err == "stopped; half of it is kept\n"
