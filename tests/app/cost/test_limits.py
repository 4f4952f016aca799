from __future__ import annotations

from pathlib import Path

import pytest

from app.cost.job import Cost
from app.cost.limits import require_affordable, require_room
from app.cost.work import Work, total
from app.errors import StorageFull, TooCostly
from app.settings import Settings

SETTINGS = Settings(job_seconds=100.0, job_memory=1 << 30)


def cost(seconds: float, memory: float) -> Cost:
    """Of a job whose second part is the large one."""
    parts = (
        Work(lower=("labels.paths", "labels.samples"), seconds=1.0, memory=1.0),
        Work(lower=("network.hidden", "a", "b", "c"), seconds=seconds, memory=memory),
    )
    return Cost(parts=parts, estimate=total(parts, processes=1))


def test_what_fits_is_let_through() -> None:
    require_affordable(cost(50.0, 1 << 20), SETTINGS)


@pytest.mark.parametrize(
    ("seconds", "memory", "bound"), [(200.0, 1.0, 100.0), (1.0, 2.0**31, 1 << 30), (1e30, 1e30, 100.0)]
)
def test_what_does_not_is_refused_with_estimate_limits_and_fields(seconds: float, memory: float, bound: float) -> None:
    with pytest.raises(TooCostly) as refused:
        require_affordable(cost(seconds, memory), SETTINGS)
    fields = refused.value.fields
    assert (fields["path"], fields["bound"]) == ("network.hidden", bound)
    assert fields["limits"] == {"job_seconds": 100.0, "job_memory": 1 << 30}
    assert set(fields["estimate"]) == {"seconds", "memory_bytes", "disk_bytes"}
    assert "1.7 minutes (SOBOLITE_JOB_SECONDS) and 1 GiB of memory (SOBOLITE_JOB_MEMORY)" in str(refused.value)
    assert str(refused.value).endswith("Lower network.hidden, a, b")


def test_room_is_asked_for_what_is_written_and_what_must_stay(tmp_path: Path) -> None:
    require_room(tmp_path, needed=1, least=0)
    for needed, least in ((1 << 60, 0), (0, 1 << 60)):
        with pytest.raises(StorageFull, match="SOBOLITE_LEAST_FREE_DISK"):
            require_room(tmp_path, needed=needed, least=least)
