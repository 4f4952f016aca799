from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.files import replacing
from app.pipeline.plan import done, order, place, plan, read_order
from app.specification.jobs import load_spec

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_pruning_is_planned_only_where_asked_for(tiny: dict[str, Any]) -> None:
    assert "prune" not in plan(load_spec("train", tiny))
    assert "prune" in plan(load_spec("train", tiny | {"pruning": PRUNING}))


def test_progress_runs_from_0_to_1(tiny: dict[str, Any]) -> None:
    steps = plan(load_spec("train", tiny))
    shares = [done(steps, step, share) for step in steps for share in (0.0, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"


def test_an_order_survives_its_folder(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = load_spec("train", tiny)
    given = order(spec, registry=tmp_path, job="a")
    place(given, tmp_path / "a")
    found = read_order(tmp_path / "a")
    assert (found.kind, found.registry, found.job) == ("train", str(tmp_path), "a")
    assert load_spec(found.kind, found.spec) == spec
