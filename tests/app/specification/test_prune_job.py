from __future__ import annotations

import pytest

from app.specification.prune_job import PruneJobSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load

RANDOM = {"method": "magnitude", "sparsity": 0.5}


def test_a_prune_job_with_labels_of_its_own_is_held_to_them() -> None:
    pruning = RANDOM | {"fine_tuning": {}}
    assert load(PruneJobSpec, {"model": "m", "pruning": pruning}).labels is None
    with pytest.raises(InvalidSpec, match="raise that one"):
        load(PruneJobSpec, {"model": "m", "pruning": pruning, "labels": {"order": 0}})


def test_a_prune_job_does_not_go_back_to_where_training_started() -> None:
    with pytest.raises(InvalidSpec, match="which only a build has; use 'random' or another") as caught:
        load(PruneJobSpec, {"model": "m", "pruning": RANDOM | {"retraining": "rewind"}})
    assert caught.value.fields["path"] == "pruning.retraining"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model": "../m"}, "model must be 1 to 64 of"), ({"seed": -1}, "seed must be in"), ({"version": 0.5}, "version")],
)
def test_a_prune_job_names_a_version_and_a_seed(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(PruneJobSpec, {"model": "m", "pruning": RANDOM} | change)
