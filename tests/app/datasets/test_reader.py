from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.datasets import reader
from app.datasets.table import Limits

LIMITS = Limits(rows=1000, size=1 << 20)


def test_what_is_read_is_left_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,5\n")
    assert reader.answer(tmp_path / "a.csv", tmp_path, LIMITS) == {"names": ["x"]}
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), [[1.0], [2.0]])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [2.0, 5.0])


def test_a_refusal_and_an_error_of_a_library_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,two\n")
    told = reader.answer(tmp_path / "a.csv", tmp_path, LIMITS)
    assert (told["error"], told["fields"]) == ("InvalidRequest", {"path": "line 2.y"})

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reader, "read_labels", out_of_memory)
    assert reader.answer(tmp_path / "a.csv", tmp_path, LIMITS)["error"] == "TooLarge"


def test_limits_hold_before_the_file_is_opened(tmp_path: Path) -> None:
    """The limits of the process that `confine` leaves behind."""
    text = (
        "import json, resource; from app.datasets.reader import confine; from app.datasets.table import Limits; "
        "confine(Limits(rows=1, size=1, seconds=2.5, memory=1 << 28)); "
        "names = ('RLIMIT_CPU', 'RLIMIT_CORE', 'RLIMIT_AS'); "
        "print(json.dumps([resource.getrlimit(getattr(resource, name)) for name in names]))"
    )
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    seconds, core, memory = json.loads(said)
    assert (seconds, core) == ([3, 3], [0, 0])
    assert sys.platform != "linux" or 1 << 28 < memory[0] < 1 << 33
