from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import torch
from msgspec.structs import replace as replace_spec

from pricing.domain import Box, Feature
from pricing.specs.base import load
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from surrogate.artifact.files import MODEL, MODEL_FLOAT32, Artifact, files
from surrogate.artifact.make import describe_network, make_artifact
from surrogate.artifact.manifest import Provenance
from surrogate.artifact.sentences import show_network
from surrogate.dataset import Dataset
from surrogate.evaluation.evaluate import evaluate
from surrogate.export.onnx_reader import read_network
from surrogate.functions.network import Network, flatten
from surrogate.learning.polynomial import fit_polynomial
from surrogate.report.record import known
from surrogate.spec import EvaluationSpec, PolynomialSpec


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
    provenance = Provenance(**{"build": {}, "seed": 1, "simulated_paths": 1024, **changes})
    report = evaluate(network, problem, EvaluationSpec(samples=64), seed=1)
    return make_artifact(network, name="basket", problem=problem, report=report, provenance=provenance, float32=True)


def test_single_precision_that_loses_too_much_is_declared_unfit(network: Network, problem: PricingProblem) -> None:
    """A narrow Box far from 0 leaves float32 a few points, and the network a bend between any two."""
    far, width = 1e6, 60.0
    narrow = tuple(Feature(name="spot", lower=(far - width,) * 3, upper=(far + width,) * 3) for _ in range(1))
    first = network.weights[0] / width
    moved = replace(
        network,
        weights=(first, *network.weights[1:]),
        biases=(network.biases[0] - first.sum(dim=1) * far, *network.biases[1:]),
    )
    process = Bachelier(volatilities=(20.0, 20.0, 20.0), correlation=problem.process.correlation)
    payoff = Call(weights=(0.5, 0.3, 0.2), strike=far)
    artifact = build(moved, replace_spec(problem, process=process, payoff=payoff, features=narrow))
    manifest = json.loads(files(artifact)["manifest.json"])
    assert artifact.model_float32 is None
    assert set(manifest["parity"]) == set(manifest["hashes"]) - {"spec"} == {MODEL}
    assert manifest["float32_unfit"].startswith("float32 was asked for and is unfit")


def test_artifact_describes_its_network(network: Network, problem: PricingProblem) -> None:
    artifact = build(network, problem)
    manifest = json.loads(files(artifact)["manifest.json"])
    assert load(PricingProblem, manifest["problem"]) == problem
    assert manifest["network"]["widths"] == [3, 5, 4, 1]
    assert manifest["network"]["parameters"] == network.parameters
    assert manifest["hashes"][MODEL] == hashlib.sha256(artifact.model).hexdigest()
    assert set(manifest["parity"]) == {MODEL, MODEL_FLOAT32}
    assert artifact.manifest.accuracy == artifact.report.accuracy
    assert manifest["accuracy"] == json.loads(files(artifact)["report.json"])["accuracy"]
    assert (flatten(read_network(artifact.model)) == flatten(network)).all()
    assert "linear" not in manifest["network"]
    assert "float32_unfit" not in manifest


def test_layers_without_activation_are_named(network: Network, problem: PricingProblem) -> None:
    artifact = build(replace(network, linear=frozenset({2})), problem)
    assert artifact.manifest.network.linear == (2,)
    assert read_network(artifact.model).linear == {2}


def test_model_bytes_follow_the_specification_and_nothing_else(network: Network, problem: PricingProblem) -> None:
    first = build(network, problem, job="a")
    assert files(build(network, problem, job="a")) == files(first)
    assert build(network, problem, job="b").model == first.model
    other = build(network, problem, build={"seed": 2})
    hashes = [known(one.manifest.hashes) or {} for one in (first, other)]
    assert hashes[0]["spec"] != hashes[1]["spec"]
    assert other.model != first.model


def test_a_parametric_problem_says_why_it_is_not_scaled(network: Network, problem: PricingProblem) -> None:
    """And features without a unit have that of their parameter."""
    still = replace(network, weights=(torch.nn.functional.pad(network.weights[0], (0, 1)), *network.weights[1:]))
    maturity = Feature(name="maturity", lower=(0.0,), upper=(1.0,))
    process = BlackScholes(volatilities=(0.2, 0.2, 0.3), correlation=problem.process.correlation)
    varying = msgspec.structs.replace(problem, process=process, features=(*problem.features, maturity))
    artifact = build(still, varying)
    assert (artifact.manifest.no_reduction or "").startswith("maturity goes down to 0")
    assert "No exact scaling: maturity goes down to 0" in artifact.card
    assert [feature.unit for feature in artifact.manifest.features] == ["currency", "years"]
    assert artifact.manifest.outputs["theta"] == "currency per year"
    assert build(network, problem).manifest.no_reduction is None


def test_a_manifest_tells_a_polynomial_from_a_network(network: Network, dataset: Dataset) -> None:
    polynomial = describe_network(fit_polynomial(dataset, PolynomialSpec(degree=3, axes=2)).surrogate, nodes=9)
    assert (polynomial.kind, polynomial.terms, polynomial.nodes) == ("polynomial", 10, 9)
    assert show_network(polynomial) == "a polynomial of degree 3 in 2 axes of the features, 10 terms"
    assert show_network(describe_network(network, nodes=9)) == "an MLP of widths 3-5-4-1 (silu)"
