from __future__ import annotations

from typing import Any

from app.pipeline.plan import done, plan
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
