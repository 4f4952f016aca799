"""Whatever is wrong with a client's file ends in accepted, 422 or 413, and the server serves on.

``SOBOLITE_FUZZ_FILES`` damages more files than CI does (`tests/abuse/damage.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.datasets.apart import PLAIN, understood
from app.datasets.table import Limits
from app.errors import STATUS, AppError
from tests.abuse.damage import damaged, originals

FILES, SEED = int(os.environ.get("SOBOLITE_FUZZ_FILES", "3000")), 12
LIMITS = Limits(rows=1000, size=1 << 20, seconds=10.0, memory=1 << 30)


def read_all(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "tests.abuse.read_many", str(folder), json.dumps(LIMITS._asdict())]
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **PLAIN, "PYTHONPATH": root}, cwd=root
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def outcome(end: dict[str, Any]) -> tuple[int, str]:
    """Status and sentence of how reading a file ended."""
    try:
        understood(end["code"], end["said"].encode(), LIMITS)
    except AppError as error:
        return STATUS[type(error)], str(error)
    return 201, ""


def test_good_files_of_every_format_are_read(tmp_path: Path) -> None:
    for name, data in originals().items():
        (tmp_path / name).write_bytes(data)
    assert {end["file"]: outcome(end) for end in read_all(tmp_path)} == dict.fromkeys(originals(), (201, ""))


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_accepted_or_refused_in_a_sentence(part: int, tmp_path: Path) -> None:
    done = {}
    for place, (what, data) in enumerate(damaged(FILES // 4, SEED + part)):
        (tmp_path / f"{place:06}").write_bytes(data)
        done[f"{place:06}"] = what
    ends = read_all(tmp_path)
    assert len(ends) == len(done)
    outcomes = {done[end["file"]]: outcome(end) for end in ends}
    assert not [(what, told) for what, told in outcomes.items() if told[0] not in (201, 413, 422)]
    assert not [what for what, (status, told) in outcomes.items() if status != 201 and not 10 < len(told) < 1000]
    # Damage that nobody notices would make this a test of nothing.
    assert Counter(status for status, _ in outcomes.values())[422] > len(done) // 3
