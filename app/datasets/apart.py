"""Labels of a client's file, read by another process (`app.datasets.reader`): here no byte of it is parsed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app.datasets.table import LabelTable, Limits
from app.errors import AppError, InvalidRequest, TooLarge, Unavailable

# What the reader may answer with.
REFUSALS: dict[str, type[AppError]] = {kind.__name__: kind for kind in (InvalidRequest, TooLarge, Unavailable)}
# Longest answer, characters: a name of each column at most, or an error.
LONGEST = 1 << 20
# Seconds that the interpreter takes to start where others take the processors.
START_SECONDS = 10.0
# Allocators and threads that reserve no more address space than they fill: it is what is limited.
PLAIN = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
COMMAND = [sys.executable, "-P", "-m", "app.datasets.reader"]


def read_apart(path: Path, limits: Limits) -> LabelTable:
    """The labels in a file, within the limits of time and memory.

    Raises:
        InvalidRequest: names what is wrong with it; a file that ends its reader, or takes too long, among it.
        TooLarge: beyond the limits, that of memory among them.
        Unavailable: Parquet without pyarrow.
    """
    with TemporaryDirectory() as folder:
        command = [*COMMAND, str(path.absolute()), folder, json.dumps(limits._asdict())]
        try:
            done = subprocess.run(  # noqa: S603 (this interpreter, and paths of our own)
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=START_SECONDS + limits.seconds,
                check=False,
                env={**os.environ, **PLAIN},
            )
        except subprocess.TimeoutExpired as error:
            raise too_slow(limits) from error
        told = understood(done.returncode, done.stdout, limits)
        arrays = {file.stem: np.load(file, allow_pickle=False) for file in Path(folder).glob("*.npy")}
    return LabelTable(names=tuple(told["names"]), **arrays)


def understood(code: int, said: bytes, limits: Limits) -> dict[str, Any]:
    """What the reader said, if it read the file.

    Raises:
        InvalidRequest, TooLarge, Unavailable: what it says is wrong, or how it ended.
    """
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise too_slow(limits)
    if code != 0 or len(said) > LONGEST:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise InvalidRequest(f"the file is damaged: reading it ended the process that did ({how}); export it again")
    told: dict[str, Any] = json.loads(said)
    if "error" in told:
        raise REFUSALS[told["error"]](told["message"], **told["fields"])
    return told


def too_slow(limits: Limits) -> InvalidRequest:
    """What is said of a file that takes longer than it may."""
    return InvalidRequest(
        f"the file takes more than {limits.seconds:g} s to read, the limit (read_seconds); send fewer rows or NPZ",
        bound=limits.seconds,
    )
