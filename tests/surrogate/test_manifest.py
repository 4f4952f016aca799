from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from pricing.domain import Box
from pricing.specs.base import load
from pricing.specs.payoff import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.artifact import MODEL, MODEL_FLOAT32, Artifact, files, show_r2
from surrogate.evaluation import evaluate
from surrogate.export import read_network
from surrogate.manifest import make_artifact
from surrogate.network import Network, flatten
from surrogate.spec import EvaluationSpec


@pytest.fixture
def problem(box: Box) -> PricingProblem:
    identity = tuple(tuple(float(i == j) for j in range(3)) for i in range(3))
    return PricingProblem(
        process=Bachelier(volatilities=(0.2, 0.2, 0.3), correlation=identity),
        payoff=Call(weights=(0.5, 0.3, 0.2), strike=1.0),
        maturity=1.0,
        features=box.features,
    )


def build(network: Network, problem: PricingProblem, **changes: Any) -> Artifact:
    provenance = {"build": {}, "seed": 1, "simulated_paths": 1024, **changes}
    report = evaluate(network, problem, EvaluationSpec(samples=64), seed=1)
    return make_artifact(network, name="basket", problem=problem, report=report, provenance=provenance, float32=True)


def test_artifact_describes_its_network(network: Network, problem: PricingProblem) -> None:
    artifact = build(network, problem)
    manifest = json.loads(files(artifact)["manifest.json"])
    assert load(PricingProblem, manifest["problem"]) == problem
    assert manifest["network"]["widths"] == [3, 5, 4, 1]
    assert manifest["network"]["parameters"] == network.parameters
    assert manifest["hashes"][MODEL] == hashlib.sha256(artifact.model).hexdigest()
    assert set(manifest["parity"]) == {MODEL, MODEL_FLOAT32}
    assert manifest["accuracy"] == artifact.report["accuracy"]
    assert (flatten(read_network(artifact.model)) == flatten(network)).all()
    assert "linear" not in manifest["network"]


def test_layers_without_activation_are_named(network: Network, problem: PricingProblem) -> None:
    artifact = build(replace(network, linear=frozenset({2})), problem)
    assert artifact.manifest["network"]["linear"] == [2]
    assert read_network(artifact.model).linear == {2}


def test_model_bytes_follow_the_specification_and_nothing_else(network: Network, problem: PricingProblem) -> None:
    first = build(network, problem, job="a")
    assert files(build(network, problem, job="a")) == files(first)
    assert build(network, problem, job="b").model == first.model
    other = build(network, problem, build={"seed": 2})
    assert other.manifest["hashes"]["spec"] != first.manifest["hashes"]["spec"]
    assert other.model != first.model


def test_card_states_the_figures(network: Network, problem: PricingProblem) -> None:
    artifact = build(network, problem)
    assert show_r2(artifact.report["accuracy"]["gamma"]["r2"]) in artifact.card
    assert "1024\nsimulated paths" in artifact.card


def test_card_says_what_is_proven_and_where(network: Network, problem: PricingProblem) -> None:
    entry = {"statement": "value >= intrinsic", "tolerance": 1e-4, "share": 1.0, "smallest_tolerance": 2.5e-5}
    shape = [
        entry | {"proven": True},
        entry | {"statement": "convex", "proven": False, "share": 0.25, "smallest_tolerance": None},
    ]
    pruning = {"value": 0.01, "largest_delta": None, "seen": {"value": 0.002, "delta": None}}
    report = evaluate(network, problem, EvaluationSpec(samples=64), seed=1)
    artifact = make_artifact(
        network,
        name="basket",
        problem=problem,
        report=report,
        provenance={"build": {}, "seed": 1, "simulated_paths": 1024},
        certificate={"shape": shape, "pruning": pruning, "arithmetic": "exact, not of model.float32.onnx"},
    )
    assert artifact.manifest["certificate"]["shape"] == shape
    assert "Arithmetic: exact, not of model.float32.onnx." in artifact.card
    assert "| value >= intrinsic | 2.5e-05 | all |" in artifact.card
    assert "| convex | not proven | 25.0 % (estimate) |" in artifact.card
    assert "everywhere in the Box: the value within 0.01 (largest difference seen 2.0e-03)." in artifact.card
