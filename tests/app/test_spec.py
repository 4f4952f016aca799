from __future__ import annotations

from typing import Any

import pytest

from app.spec import BuildSpec, PruneJobSpec
from pricing.errors import InvalidSpec
from pricing.spec import dump, load

VALUES_ONLY = {"order": 0}
RANDOM = {"method": "magnitude", "sparsity": 0.5}


def test_round_trip(tiny: dict[str, Any]) -> None:
    spec = load(BuildSpec, tiny)
    assert load(BuildSpec, dump(spec)) == spec


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a.b", "x" * 65, "jobs.sqlite"])
def test_a_name_is_a_safe_folder(tiny: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidSpec, match="name must be"):
        load(BuildSpec, tiny | {"name": name})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"training": {"loss": {"order": 1}}}, "training.loss needs labels of order 1"),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"rows": "sobolev"}},
            "pruning.rows needs labels of order 1",
        ),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"fine_tuning": {"loss": {"order": 2}}}},
            "pruning.fine_tuning.loss needs labels of order 2",
        ),
    ],
)
def test_losses_need_their_labels_before_any_work(tiny: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    labels = tiny["labels"] | VALUES_ONLY
    with pytest.raises(InvalidSpec, match=field):
        load(BuildSpec, tiny | {"labels": labels} | changes)


def test_a_prune_job_with_labels_of_its_own_is_held_to_them() -> None:
    pruning = RANDOM | {"fine_tuning": {}}
    assert load(PruneJobSpec, {"model": "m", "pruning": pruning}).labels is None
    with pytest.raises(InvalidSpec, match="raise that one"):
        load(PruneJobSpec, {"model": "m", "pruning": pruning, "labels": VALUES_ONLY})


def test_a_network_too_large_for_its_optimiser_is_refused_before_any_work(tiny: dict[str, Any]) -> None:
    large = {"hidden": [64, 64]}
    with pytest.raises(InvalidSpec, match="this network has 4417; use lbfgs or adam"):
        load(BuildSpec, tiny | {"network": large})
    training = {"optimisers": [{"kind": "lbfgs"}]}
    assert load(BuildSpec, tiny | {"network": large, "training": training}).network.parameters(2) == 4417
