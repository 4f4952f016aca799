from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import torch

from pricing.domain import Box, Feature
from pricing.specs.base import load
from pricing.specs.payoff import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from surrogate.artifact.files import MODEL, MODEL_FLOAT32, Artifact, files
from surrogate.artifact.manifest import make_artifact
from surrogate.evaluation.evaluate import evaluate
from surrogate.export.onnx_reader import read_network
from surrogate.functions.network import Network, flatten
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


def test_a_parametric_problem_says_why_it_is_not_scaled(network: Network, problem: PricingProblem) -> None:
    """And features without a unit have that of their parameter."""
    still = replace(network, weights=(torch.nn.functional.pad(network.weights[0], (0, 1)), *network.weights[1:]))
    maturity = Feature(name="maturity", lower=(0.0,), upper=(1.0,))
    process = BlackScholes(volatilities=(0.2, 0.2, 0.3), correlation=problem.process.correlation)
    varying = msgspec.structs.replace(problem, process=process, features=(*problem.features, maturity))
    artifact = build(still, varying)
    assert artifact.manifest["no_reduction"].startswith("maturity goes down to 0")
    assert "No exact scaling: maturity goes down to 0" in artifact.card
    assert [feature["unit"] for feature in artifact.manifest["features"]] == ["currency", "years"]
    assert artifact.manifest["outputs"]["theta"] == "currency per year"
    assert "no_reduction" not in build(network, problem).manifest
