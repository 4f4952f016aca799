from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.sweeps import memory

MEBIBYTE = 1 << 20


@pytest.mark.skipif(not memory.STATUS.exists(), reason="the kernel tells no peak")
def test_the_peak_is_what_was_resident_since_the_reset() -> None:
    memory.reset_peak()
    before = memory.resident()
    held = np.ones(256 * MEBIBYTE // 8)  # far more than what else the process frees meanwhile
    peak = memory.peak()
    del held
    memory.reset_peak()
    after = memory.peak()
    assert before is not None
    assert peak is not None
    assert after is not None
    assert peak >= before + 128 * MEBIBYTE
    assert after <= peak - 128 * MEBIBYTE


def test_where_the_kernel_tells_nothing_there_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "RESET", tmp_path / "no" / "clear_refs")
    memory.reset_peak()
    assert memory.peak() is None
    (tmp_path / "status").write_text("VmRSS:\t 2048 kB\n")
    assert memory.resident() == 2 * MEBIBYTE
    assert memory.peak() is None
