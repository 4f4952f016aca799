from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.processors import processors, quotas

TWO = "0::/pod/me\n"
ONE = "4:memory:/pod\n3:cpu,cpuacct:/pod/me\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (TWO, {}, []),
        (TWO, {"cpu.max": "max 100000\n"}, []),
        (TWO, {"pod/me/cpu.max": "150000 100000\n"}, [1.5]),
        (TWO, {"pod/me/cpu.max": "max 100000\n", "pod/cpu.max": "50000 100000\n"}, [0.5]),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, [3.0]),
        ("0::/../elsewhere\n", {"cpu.max": "100000 100000\n"}, [1.0]),
        (ONE, {"cpu/pod/me/cpu.cfs_quota_us": "-1\n", "cpu/pod/me/cpu.cfs_period_us": "100000\n"}, []),
        (ONE, {"cpu/pod/me/cpu.cfs_quota_us": "250000\n", "cpu/pod/me/cpu.cfs_period_us": "100000\n"}, [2.5]),
        (ONE, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, [0.5]),
        (ONE, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "0\n"}, []),
        ("", {"cpu.max": "100000 100000\n"}, []),
    ],
)
def test_quotas_of_both_versions(tmp_path: Path, groups: str, files: dict[str, str], expected: list[float]) -> None:
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(quotas(tmp_path / "groups", tmp_path / "root")) == expected
    bound = len(os.sched_getaffinity(0))
    quota = min(expected, default=float(bound))
    assert processors(tmp_path / "groups", tmp_path / "root") == max(1, min(bound, -int(-quota // 1)))


def test_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors() == 1
    finally:
        os.sched_setaffinity(0, before)
