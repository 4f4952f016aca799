from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.pipeline.facts import PruneOrder, RetrainOrder, TrainOrder, load_order, order_of
from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import dump
from surrogate.artifact.manifest import Certificate
from surrogate.report.report import read_labels
from surrogate.report.sources import ImportedLabels, RidgeFacts, RidgeScore, SimulatedLabels, StatesFacts, TaughtLabels

PRUNE = {"model": "tiny", "pruning": {"method": "magnitude", "sparsity": 0.3}}
SIMULATED = {
    "simulated_paths": 96,
    "payoff_evaluations": 2048,
    "standard_error": {"value": 0.1, "delta": 0.2},
    "estimator": {"kind": "conditional"},
    "bias": {"unstated": ["time steps of the process"]},
}
IMPORTED = {
    "dataset": "0" * 64,
    "rows": 200,
    "copies": 0,
    "least": [0.5, 0.5],
    "largest": [1.5, 1.5],
    "learnt_from": 180,
    "learnt_from_in_box": 180,
    "held_out": 20,
    "simulated_paths": 0,
    "noise": None,
}


def test_an_order_is_of_a_kind_and_survives_being_written(tiny: dict[str, Any], tmp_path: Path) -> None:
    train, prune = load_spec("train", tiny), load_spec("prune", PRUNE)
    given = order_of(train, registry=tmp_path, job="a")
    whose = order_of(train, registry=tmp_path, job="a", submitter="somebody")
    assert (whose.submitter, load_order(dump(whose))) == ("somebody", whose)
    assert dump(given) == {"kind": "train", "spec": dump(train), "registry": str(tmp_path), "job": "a"}
    assert load_order(dump(given)) == given
    assert isinstance(given, TrainOrder)
    again = load_order({"kind": "prune", "spec": PRUNE, "registry": None, "job": None})
    assert again == order_of(prune)
    assert isinstance(again, PruneOrder)
    retrain = order_of(load_spec("retrain", {"model": "tiny", "changes": {"seed": 3}}))
    assert isinstance(retrain, RetrainOrder)
    assert load_order(dump(retrain)) == retrain


def test_an_order_of_something_else_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec, match="model"):
        load_order({"kind": "train", "spec": PRUNE})
    with pytest.raises(InvalidSpec):
        load_order({"kind": "sell", "spec": tiny})


def test_labels_know_whether_they_were_simulated() -> None:
    simulated, imported = read_labels(SIMULATED), read_labels(IMPORTED)
    assert isinstance(simulated, SimulatedLabels)
    assert simulated.estimator == SIMULATED["estimator"] == dump(simulated)["estimator"]
    assert isinstance(imported, ImportedLabels)
    assert (imported.learnt_from, imported.noise) == (180, None)
    taught = {"teacher": "tiny@3", "sha256": "ab", "samples": 8, "rmse": {"value": 0.1}, "simulated_paths": 96}
    assert dump(read_labels(taught)) == taught
    assert isinstance(read_labels(taught), TaughtLabels)


def test_what_is_not_there_is_left_out() -> None:
    assert "table" not in dump(read_labels(SIMULATED))
    states = {"states": 3, "inside": 0.9, "states_sha256": "ab"}
    followed = read_labels(SIMULATED | {"table": states})
    assert isinstance(followed, SimulatedLabels)
    assert followed.table == StatesFacts(states=3, inside=0.9, states_sha256="ab")
    assert dump(followed)["table"] == states
    assert dump(read_labels(IMPORTED))["noise"] is None
    assert dump(RidgeFacts(ridge=0.1)) == {"ridge": 0.1}
    scored = RidgeFacts(ridge=0.1, tried=(RidgeScore(ridge=0.1, loss=1.0, excess=0.0),))
    assert dump(scored)["tried"] == ({"ridge": 0.1, "loss": 1.0, "excess": 0.0},)
    proven = Certificate(shape=(), pruning=None, arithmetic="exact")
    assert dump(proven) == {"shape": (), "pruning": None, "arithmetic": "exact"}
