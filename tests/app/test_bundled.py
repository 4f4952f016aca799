"""The model that comes with the package is the one that its example builds, and as good as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.settings import bundled_models
from app.specification.jobs import load_spec
from app.specification.toml_files import read_build_spec
from pricing.specs.base import dump
from surrogate.artifact.files import read
from surrogate.evaluation.evaluate import evaluate
from surrogate.export.onnx_reader import read_network

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def test_the_bundled_model_is_its_example() -> None:
    spec = read_build_spec(ROOT / "examples" / "bachelier_basket_7.toml")
    artifact = read(bundled_models() / "bachelier-basket-7" / "1")
    assert artifact.manifest.provenance.build == json.loads(json.dumps(dump(spec)))
    network = read_network(artifact.model)
    measured = evaluate(network, spec.pricing, spec.evaluation, seed=spec.seed).accuracy
    for greek in ("value", "delta", "gamma"):
        score = measured[greek]
        assert score.rmse == pytest.approx(artifact.manifest.accuracy[greek].rmse, rel=1e-3)
        assert score.r2 is not None
        assert score.r2 > 0.999999
    assert network.parameters <= 40


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_build(path: Path) -> None:
    spec = read_build_spec(path)
    assert path.stem == spec.name.replace("-", "_")


def test_the_specifications_in_the_readme_are_taken() -> None:
    bodies = re.findall(r"--json '([^']*)'", (ROOT / "README.md").read_text())
    jobs = [body for body in map(json.loads, bodies) if "kind" in body]
    assert {job["kind"] for job in jobs} == {"train", "prune", "retrain"}
    for job in jobs:
        load_spec(job["kind"], job["spec"])
