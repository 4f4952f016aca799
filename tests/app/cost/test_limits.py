from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from app.cost.job import Cost, Named, cost_of
from app.cost.limits import require_affordable, require_room
from app.errors import StorageFull, TooCostly
from app.settings import Settings
from app.specification.build import BuildSpec

MIB = 1 << 20


def cost(tiny_build: BuildSpec, **labels: int) -> Cost:
    """Of the tiny build with other labels."""
    build = replace(tiny_build, labels=replace(tiny_build.labels, **labels))
    return cost_of(build, build, Named())


def test_what_fits_is_let_through(tiny_build: BuildSpec) -> None:
    require_affordable(cost(tiny_build), Settings())


@pytest.mark.parametrize(
    ("settings", "limit", "unit"),
    [
        (Settings(job_seconds=100.0, job_memory=1 << 40), "job_seconds", "seconds"),
        (Settings(job_seconds=3e7, job_memory=400 * MIB), "job_memory", "bytes"),
        (Settings(job_seconds=100.0, job_memory=400 * MIB), "job_seconds", "seconds"),
    ],
)
def test_what_does_not_is_refused_with_estimate_limits_and_fields(
    settings: Settings, limit: str, unit: str, tiny_build: BuildSpec
) -> None:
    with pytest.raises(TooCostly) as refused:
        require_affordable(cost(tiny_build, samples=1 << 20, paths=1 << 16, replicates=1), settings)
    fields, sentence = refused.value.fields, str(refused.value)
    assert (fields["limit"], fields["unit"]) == (limit, unit)
    assert "bound" not in fields
    assert fields["limits"] == {"job_seconds": settings.job_seconds, "job_memory": settings.job_memory}
    assert set(fields["estimate"]) == {"seconds", "memory_bytes", "disk_bytes"}
    assert "(SOBOLITE_JOB_SECONDS)" in sentence
    assert "(SOBOLITE_JOB_MEMORY)" in sentence
    assert f"Lower {fields['path']} (half of it: " in sentence
    assert "labels.samples (half of it: " in sentence


def test_where_no_field_helps_none_is_named(tiny_build: BuildSpec) -> None:
    """Most of what so small a job takes is torch."""
    with pytest.raises(TooCostly, match="Half of no single field") as refused:
        require_affordable(cost(tiny_build), Settings(job_memory=MIB))
    assert refused.value.fields["path"] == ""


def test_room_is_asked_for_what_is_written_and_what_must_stay(tmp_path: Path) -> None:
    require_room(tmp_path, needed=1, least=0)
    for needed, least in ((1 << 60, 0), (0, 1 << 60)):
        with pytest.raises(StorageFull, match="SOBOLITE_LEAST_FREE_DISK"):
            require_room(tmp_path, needed=needed, least=least)
