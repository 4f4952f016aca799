"""A build that learns a polynomial, from its specification to the HTTP answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.commands.line import app as command_line
from app.datasets import store
from app.datasets.table import Limits
from app.main import create_app
from app.pipeline.build import build
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from app.specification.prune_job import PruneJobSpec
from app.sweeps.spec import SweepSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from surrogate.artifact import files
from surrogate.artifact.files import Artifact
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_surrogate
from surrogate.functions.polynomial import PolynomialSurrogate, value_gradient_hessian
from surrogate.report.report import plain_report

pytestmark = pytest.mark.anyio

PRUNING = {"method": "magnitude", "sparsity": 0.3}
ROWS = [[1.0, 1.1], [0.9, 0.8], [1.3, 1.4]]


def polynomial_build(tiny: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The tiny build with a polynomial, and labels that it can learn from."""
    labels = tiny["labels"] | {"samples": 128, "paths": 256, "order": 1}
    rest = {name: part for name, part in tiny.items() if name not in ("network", "training")}
    return rest | {"labels": labels, "polynomial": {"degree": 9, "axes": 1} | options}


@pytest.fixture
def built(tiny: dict[str, Any], tmp_path: Path) -> Artifact:
    return build(load(BuildSpec, polynomial_build(tiny)), tmp_path / "build")


@pytest.fixture
def published(built: Artifact, tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.publish("tiny", built, job_id="first")
    return registry


def test_a_polynomial_is_built_like_a_network(built: Artifact, tiny: dict[str, Any], tmp_path: Path) -> None:
    network, accuracy = plain_manifest(built.manifest)["network"], plain_manifest(built.manifest)["accuracy"]
    assert {part: network[part] for part in ("kind", "degree", "axes", "terms")} == {
        "kind": "polynomial",
        "degree": 9,
        "axes": 1,
        "terms": 10,
    }
    assert network["parameters"] == 2 + 1 + 10
    for greek, least in (("value", 0.99999), ("delta", 0.9999), ("gamma", 0.999)):
        assert accuracy[greek]["r2"] > least
    assert plain_report(built.report)["axes"]["count"] == 1
    assert plain_report(built.report)["ridge"]["ridge"] > 0.0
    assert plain_manifest(built.manifest)["certificate"]["shape"] is None
    assert "a polynomial is judged at points" in plain_manifest(built.manifest)["certificate"]["no_shape"]
    assert "a polynomial of degree 9 in 1 axis of the features, 10 terms, 13 parameters" in built.card
    dense = build(load(BuildSpec, tiny), tmp_path / "network")
    assert set(plain_manifest(built.manifest)) == set(plain_manifest(dense.manifest))
    again = build(load(BuildSpec, plain_manifest(built.manifest)["provenance"]["build"]), tmp_path / "again")
    assert files.files(again) == files.files(built)


async def test_it_is_served_over_http(published: Registry, built: Artifact, tmp_path: Path) -> None:
    published.close()
    (tmp_path / "bundled").mkdir()
    app = create_app(Settings(registry=published.root, bundled=tmp_path / "bundled", drain_seconds=0.0))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = (await client.post("/v1/models/tiny/price", json={"inputs": ROWS})).json()
    surrogate = read_surrogate(built.model)
    assert isinstance(surrogate, PolynomialSurrogate)
    wanted = value_gradient_hessian(surrogate, torch.tensor(ROWS, dtype=torch.float64))
    for name, want in zip(("value", "delta", "gamma"), wanted, strict=True):
        np.testing.assert_allclose(answer[name], want.numpy(), rtol=1e-11, atol=1e-12)


def test_the_commands_show_and_judge_it(published: Registry) -> None:
    root = str(published.root)
    shown = CliRunner().invoke(command_line, ["models", "show", "tiny", "--registry", root])
    assert "polynomial of degree 9" in shown.output, shown.output
    judged = CliRunner().invoke(command_line, ["evaluate", "tiny", "--samples", "64", "--registry", root])
    assert judged.exit_code == 0, judged.output


def test_exact_scaling_works_in_front_of_it(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = polynomial_build(tiny, degree=13)
    spec["problem"]["features"].append({"name": "maturity", "lower": [0.25], "upper": [1.0], "unit": "years"})
    spec["labels"]["sampler"] = {"kind": "moneyness", "bound": 6.0}
    made = build(load(BuildSpec, spec), tmp_path)
    assert plain_manifest(made.manifest)["network"]["axes"] == 1
    for greek, least in (("value", 0.9999), ("delta", 0.999), ("theta", 0.99), ("gamma", 0.97)):
        assert plain_manifest(made.manifest)["accuracy"][greek]["r2"] > least


def test_a_polynomial_is_not_pruned(published: Registry, tiny: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="a polynomial has no weights to prune") as error:
        load(BuildSpec, polynomial_build(tiny) | {"pruning": PRUNING})
    assert error.value.fields["path"] == "pruning"
    job = load_spec("prune", {"model": "tiny", "pruning": PRUNING})
    assert isinstance(job, PruneJobSpec)
    with pytest.raises(InvalidSpec, match="a polynomial has no weights to prune"):
        build(job, tmp_path / "prune", registry=published.root)
    assert not (tmp_path / "prune" / "labels.npz").exists()
    with pytest.raises(InvalidSpec, match="a sweep compares pruned networks"):
        load(SweepSpec, {"build": polynomial_build(tiny), "methods": ["magnitude"], "parameters": [10]})


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"network": {"hidden": [4]}}, "polynomial"),
        ({"training": {"loss": {"order": 0}}}, "polynomial"),
        ({"labels": {"order": 0}}, "polynomial"),
        ({"polynomial": {"degree": 9, "inputs": "feature"}}, "polynomial.inputs"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_simulated(
    change: dict[str, Any], path: str, tiny: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSpec) as error:
        load(BuildSpec, polynomial_build(tiny) | change)
    assert error.value.fields["path"] == path


def test_too_many_terms_are_refused_before_anything_is_simulated(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = polynomial_build(tiny, degree=24, inputs="features", axes=0)
    build(load(BuildSpec, spec), tmp_path / "two")
    spec["problem"] |= {
        "process": {"kind": "bachelier", "volatilities": [0.2] * 4, "correlation": np.eye(4).tolist()},
        "payoff": {"kind": "call", "weights": [0.25] * 4, "strike": 1.0},
        "features": [{"name": "spot", "lower": [0.5] * 4, "upper": [1.5] * 4}],
    }
    with pytest.raises(InvalidSpec, match="in 4 inputs have 20475 terms"):
        build(load(BuildSpec, spec), tmp_path / "four")
    assert not (tmp_path / "four" / "labels.npz").exists()


def test_values_alone_are_enough_for_all_features(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = polynomial_build(tiny, degree=5, axes=0, inputs="features", derivative_weight=0.0)
    spec["labels"]["order"] = 0
    made = build(load(BuildSpec, spec), tmp_path)
    assert plain_manifest(made.manifest)["network"]["terms"] == 21
    assert plain_manifest(made.manifest)["accuracy"]["value"]["r2"] > 0.999
    assert plain_report(made.report)["axes"] is None


@pytest.mark.parametrize("options", [{}, {"inputs": "features", "axes": 0, "degree": 5, "derivative_weight": 0.0}])
def test_no_label_is_made_that_it_does_not_learn_from(
    options: dict[str, Any], tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Curvature labels, the default, and deltas where they have no weight: the same build costs less without them."""
    spec = polynomial_build(tiny, **options)
    order = 0 if options else 1
    made = []
    for asked in (2, order):
        spec["labels"]["order"] = asked
        made.append(build(load(BuildSpec, spec), tmp_path / str(asked)))
    with np.load(tmp_path / "2" / "labels.npz") as labels:
        assert "curvature" not in labels.files
        assert ("gradient" in labels.files) == (order == 1)
    more, less = (plain_report(one.report)["labels"] for one in made)
    assert more == less
    assert made[0].report.accuracy == made[1].report.accuracy


def test_rows_of_a_dataset_are_enough(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    x = generator.uniform(0.5, 1.5, (400, 2))
    y = x[:, 0] ** 2 * x[:, 1] + 0.01 * generator.standard_normal(400)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    facts, _ = store.import_file(tmp_path / "rows.npz", tmp_path / "registry", Limits(rows=1000, size=1 << 20))
    given = {"name": "rows", "seed": 1, "dataset": {"id": facts.dataset}}
    options = {"degree": 3, "inputs": "features", "derivative_weight": 0.0}
    spec = load(BuildSpec, given | {"polynomial": options})
    made = build(spec, tmp_path / "job", registry=tmp_path / "registry")
    assert plain_report(made.report)["accuracy"]["value"]["r2"] > 0.999
    assert "It is a polynomial of degree 3 in 2 axes of the features, 10 terms" in made.card
    with pytest.raises(InvalidSpec, match="polynomial needs labels of order 1"):
        build(load(BuildSpec, given | {"polynomial": {}}), tmp_path / "none", registry=tmp_path / "registry")
