from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.certify import NO_NETWORK, NO_STATEMENT
from app.specification.build import BuildSpec
from pricing.specs.base import load
from pruning.certificates.shape import prove_shape
from pruning.intervals.interval import ACTIVATION_ULPS
from pruning.spec import PruningSpec
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network


def test_the_certificate_is_about_the_exported_weights(tiny_build: BuildSpec, tmp_path: Path) -> None:
    made = build(tiny_build, tmp_path)
    network = read_network(made.model)
    proven = prove_shape(network, tiny_build.pricing, tolerance=tiny_build.evaluation.tolerance, seed=tiny_build.seed)
    assert proven is not None
    assert [*plain_manifest(made.manifest)["certificate"]["shape"]] == [*proven]
    assert "not of model.float32.onnx" in made.card
    assert f"sigmoid and tanh are within {ACTIVATION_ULPS} x 2^-52" in made.card
    for entry in plain_manifest(made.manifest)["certificate"]["shape"]:
        assert entry["statement"] in made.card


@pytest.mark.parametrize(("method", "bounded"), [("magnitude", True), ("snip", False)])
def test_only_what_was_trained_before_it_was_pruned_is_compared(
    method: str, bounded: bool, tiny_build: BuildSpec, tmp_path: Path
) -> None:
    pruning = load(PruningSpec, {"method": method, "sparsity": 0.3})
    certificate = plain_manifest(build(replace(tiny_build, pruning=pruning), tmp_path).manifest)["certificate"]
    assert (certificate["pruning"] is not None) == bounded
    assert certificate["shape"]
    assert "no_shape" not in certificate


def test_a_polynomial_has_no_shape_to_prove(tiny_polynomial: BuildSpec, tmp_path: Path) -> None:
    certificate = plain_manifest(build(tiny_polynomial, tmp_path).manifest)["certificate"]
    assert (certificate["shape"], certificate["pruning"], certificate["no_shape"]) == (None, None, NO_NETWORK)


def test_where_no_statement_is_tried_it_says_why(tiny: dict[str, Any], tmp_path: Path) -> None:
    payoff = {"kind": "worst_of", "initial": [1.0, 1.0], "strike": 1.0, "side": "put"}
    process = tiny["problem"]["process"] | {"kind": "black_scholes"}
    process = {name: process[name] for name in ("kind", "volatilities", "correlation")}
    worst = tiny | {"problem": tiny["problem"] | {"payoff": payoff, "process": process}}
    made = build(load(BuildSpec, worst), tmp_path)
    certificate = plain_manifest(made.manifest)["certificate"]
    assert (certificate["shape"], certificate["no_shape"]) == ((), NO_STATEMENT)
    assert f"Nothing was proven of the shape: {NO_STATEMENT}." in made.card
