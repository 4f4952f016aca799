"""How far a command is, on stderr: a bar on a terminal, elsewhere a line a step and a heartbeat."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from surrogate.report.curves import LossPoint

# Between two lines of one step, and between two looks at the clock of a bar whose step says nothing.
HEARTBEAT_SECONDS, REFRESH_SECONDS = 10.0, 1.0
# Before so much of the work is done its speed says nothing of the rest.
LEAST_SHARE = 0.02
# What a shell says of a command that Ctrl-C has ended.
INTERRUPTED = 130

ProgressMode = Literal["auto", "bar", "plain", "none"]
PROGRESS_HELP = (
    "On stderr: a bar, a line a step with a heartbeat every ten seconds, or nothing; auto looks for a terminal."
)
ProgressOption = Annotated[ProgressMode, typer.Option("--progress", help=PROGRESS_HELP)]


@dataclass(kw_only=True)
class Standing:
    """Where a command stands; called as a `app.pipeline.plan.JobProgress`.

    Args:
        moved: called when another step has begun.
        clock: seconds.
    """

    moved: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    step: str = "starting"
    share: float = 0.0
    losses: LossPoint | None = None
    note: str = ""
    _begun: float = field(init=False)
    _before: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def __call__(self, step: str, share: float) -> None:
        """So much of the whole is done, 0 to 1, and this is what is being done."""
        self._before = self._before or (self.clock(), share)
        self.share = share
        if step != self.step:
            self.step, self.losses, self.note = step, None, ""
            self.moved()

    def hear(self, losses: LossPoint) -> None:
        """A training stands here."""
        self.losses = losses

    def take_note(self, sentence: str) -> None:
        """What the step takes."""
        self.note = sentence
        self.moved()

    @property
    def gone(self) -> float:
        """Seconds since the command began."""
        return self.clock() - self._begun

    @property
    def left(self) -> float | None:
        """Seconds until the end if the rest goes as what was seen; None while that is too little to tell."""
        if self._before is None:
            return None
        began, before = self._before
        seen = self.share - before
        return None if seen < LEAST_SHARE else (self.clock() - began) * (1.0 - self.share) / seen

    def times(self) -> str:
        """What is gone and what is left, as h:mm:ss."""
        left = self.left
        return f"{show_seconds(self.gone)} gone" + ("" if left is None else f", about {show_seconds(left)} left")

    def line(self) -> str:
        """All of it in a line."""
        parts = (f"{self.step}: {self.share:.0%} of the whole", self.note, self.times(), show_losses(self.losses))
        return ", ".join(part for part in parts if part)


def show_seconds(seconds: float) -> str:
    """Whole seconds as h:mm:ss.

    >>> show_seconds(3725.4)
    '1:02:05'
    """
    return str(timedelta(seconds=round(seconds)))


def show_losses(losses: LossPoint | None) -> str:
    """The loss of a training and what its terms are on samples held out; nothing where none was measured."""
    if losses is None or losses.loss is None:
        return ""
    terms = {name: term for name, term in (losses.held_out or {}).items() if term is not None}
    held_out = " ".join(f"{name} {term:.1e}" for name, term in terms.items())
    return f"loss {losses.loss:.1e}" + (f", held out {held_out}" if held_out else "")


@contextmanager
def show_progress(mode: ProgressMode = "auto") -> Iterator[Standing]:
    """Show on stderr what the block tells."""
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "plain"
    showing = {"bar": _bar, "plain": _plain, "none": _silence}[mode]
    with showing() as standing:
        yield standing


@contextmanager
def stopped_by_hand(kept: str) -> Iterator[None]:
    """Say on Ctrl-C what is kept, and exit as a shell expects it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped; {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _silence() -> Iterator[Standing]:
    yield Standing()


@contextmanager
def _plain() -> Iterator[Standing]:
    standing = Standing()

    def say() -> None:
        typer.echo(standing.line(), err=True)

    standing.moved = say
    with _every(HEARTBEAT_SECONDS, say):
        yield standing
    typer.echo(f"done in {show_seconds(standing.gone)}", err=True)


@contextmanager
def _bar() -> Iterator[Standing]:
    standing = Standing()
    # Asked for by name it is drawn wherever stderr goes.
    console = Console(stderr=True, force_terminal=True)
    with Progress(*_columns(), console=console) as bar:
        task = bar.add_task(standing.step, total=1.0, left="")

        def draw() -> None:
            left = standing.left
            shown = "" if left is None else f"{show_seconds(left)} left"
            notes = "  ".join(part for part in (shown, standing.note, show_losses(standing.losses)) if part)
            bar.update(task, description=standing.step, completed=standing.share, left=notes)

        standing.moved = draw
        with _every(REFRESH_SECONDS, draw):
            yield standing
        draw()


def _columns() -> Sequence[TextColumn | BarColumn | TaskProgressColumn | TimeElapsedColumn]:
    text = TextColumn("{task.description:9}"), TextColumn("{task.fields[left]}")
    return text[0], BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), text[1]


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Act now and then beside the block, until it ends."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
