"""A version that has learnt the difference to a closed form, and one from before there were any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import UNSET
from msgspec.structs import replace

from app.commands.evaluate import measured
from app.commands.progress import show_progress
from app.pipeline.build import build
from app.pipeline.certify import NO_DIFFERENCE
from app.pipeline.derived import reduction_of
from app.pipeline.provenance import origin_of
from app.pipeline.verify import verify
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.specs.base import load
from surrogate.artifact.files import Artifact
from surrogate.artifact.manifest import Version
from surrogate.export.onnx_reader import read_surrogate
from surrogate.reductions.reduction import derivatives
from surrogate.report.record import known
from surrogate.runtime import open_session

PROCESS = {"kind": "black_scholes", "volatilities": [0.2, 0.3], "correlation": [[1.0, 0.5], [0.5, 1.0]], "rate": 0.02}
PRUNE = {"pruning": {"method": "magnitude_neuron", "sparsity": 0.3}, "seed": 5}


def spec(tiny: dict[str, Any], **changes: Any) -> BuildSpec:
    return load(BuildSpec, tiny | {"problem": tiny["problem"] | {"process": PROCESS}} | changes)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path / "registry")
    yield opened
    opened.close()


def published(registry: Registry, made: Artifact) -> Version:
    return Version(model="tiny", version=registry.publish("tiny", made, job_id=str(made.manifest.hashes)))


def earlier(made: Artifact) -> Artifact:
    """As a release without controls left it."""
    plain = {name: value for name, value in made.manifest.provenance.build.items() if name != "control"}
    provenance = replace(made.manifest.provenance, build=plain)
    return Artifact(**vars(made) | {"manifest": replace(made.manifest, provenance=provenance)})


def test_the_difference_is_learnt_and_the_graph_is_the_value(tiny: dict[str, Any], tmp_path: Path) -> None:
    made, plain = (build(spec(tiny, **changes), tmp_path / str(len(changes))) for changes in ({}, {"control": "none"}))
    assert made.manifest.reduction is not None
    assert "lognormal" in str(made.manifest.reduction.control)
    certificate = known(made.manifest.certificate)
    assert certificate is not None
    assert certificate.no_shape == NO_DIFFERENCE
    assert "V = C + h(x)" in made.card
    assert "the graph adds it again" in made.card
    assert plain.manifest.reduction is None
    assert plain.manifest.no_control is made.manifest.no_control is UNSET
    # Three neurons and three steps: the closed form is nearly all that is right.
    errors = [each.manifest.accuracy["gamma"].rmse or np.inf for each in (made, plain)]
    assert errors[0] < 0.3 * errors[1]
    build_spec = origin_of(made.manifest.provenance).build
    x, reduction = torch.tensor([[0.9, 1.2], [1.1, 0.8]], dtype=torch.float64), reduction_of(build_spec)
    assert reduction is not None
    answers = open_session(made.model, threads=1).run(["value", "delta", "gamma"], {"features": x.numpy()})
    for answer, mine in zip(answers, derivatives(reduction, read_surrogate(made.model), x), strict=True):
        np.testing.assert_allclose(answer, mine.numpy(), rtol=1e-9)


def test_where_it_is_left_out_the_card_says_why(tiny: dict[str, Any], tmp_path: Path) -> None:
    features = [{"name": "spot", "lower": [0.0, 0.5], "upper": [1.5, 1.5]}]
    problem = tiny["problem"] | {"process": PROCESS, "features": features}
    made = build(load(BuildSpec, tiny | {"problem": problem}), tmp_path)
    assert made.manifest.no_control == "spot goes down to 0 in the Box; let it start above 0"
    assert f"without a closed form beside it: {made.manifest.no_control}" in made.card


@pytest.mark.parametrize("old", [False, True], ids=["today", "earlier"])
def test_it_is_pruned_retrained_judged_and_made_again_as_it_was_learnt(
    old: bool, tiny: dict[str, Any], registry: Registry, tmp_path: Path
) -> None:
    made = build(spec(tiny, **({"control": "none"} if old else {})), tmp_path / "whole")
    version = published(registry, earlier(made) if old else made)
    parent = {"model": version.model, "version": version.version}
    pruned = build(load_spec("prune", PRUNE | parent), tmp_path / "pruned", registry=registry.root)
    longer = {"training.optimisers": [{"kind": "levenberg_marquardt", "starts": 1, "long": 4}]}
    retrained = build(
        load_spec("retrain", {**parent, "changes": longer}), tmp_path / "retrained", registry=registry.root
    )
    for each in (pruned, retrained):
        assert (each.manifest.reduction is None) == old
        assert ("V = C" in each.card) != old
    assert getattr(retrained.manifest.provenance.retraining, "start", None) == "weights"
    folder = registry.folder(version.model, version.version)
    said = origin_of(made.manifest.provenance).build
    with show_progress("none") as shown:
        report = measured(folder, replace(said, control=UNSET), said.evaluation, seed=3, workers=1, shown=shown)
    then = made.manifest.accuracy["gamma"].rmse
    assert then is not None
    assert report.accuracy["gamma"].rmse == pytest.approx(then, rel=0.5)
    if not old:
        assert verify(version, tmp_path / "again", registry, lambda step, share: None).same


def test_the_value_itself_is_learnt_from_scratch(tiny: dict[str, Any], registry: Registry, tmp_path: Path) -> None:
    version = published(registry, build(spec(tiny), tmp_path / "whole"))
    parent = {"model": version.model, "version": version.version, "changes": {"control": "none"}}
    made = build(load_spec("retrain", parent), tmp_path / "again", registry=registry.root)
    retraining = known(made.manifest.provenance.retraining)
    assert retraining is not None
    assert (retraining.start, retraining.reason) == (
        "scratch",
        "one has learnt the value and the other its difference to a closed form",
    )
    assert made.manifest.reduction is None


def test_a_teacher_without_it_is_asked_for_its_price(tiny: dict[str, Any], registry: Registry, tmp_path: Path) -> None:
    """What the small function inside a version means is another thing with and without the closed form."""
    teachers = [
        published(registry, build(spec(tiny, **changes), tmp_path / f"teacher {len(changes)}"))
        for changes in ({}, {"control": "none"})
    ]
    for teacher in teachers:
        labels = {"model": f"tiny@{teacher.version}", "samples": 64, "order": 1}
        student = build(spec(tiny, labels=labels), tmp_path / str(teacher.version), registry=registry.root)
        truth = registry.folder("tiny", teacher.version) / "model.onnx"
        x = np.array([[0.9, 1.2], [1.1, 0.8], [1.0, 1.0]])
        (mine,), (theirs,) = (
            open_session(model, threads=1).run(["value"], {"features": x})
            for model in (student.model, truth.read_bytes())
        )
        np.testing.assert_allclose(mine, theirs, rtol=0.1, atol=0.02)
