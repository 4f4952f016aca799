from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.http.report_page import report_page
from app.pipeline.plan import WEIGHTS, plan
from app.pipeline.steps import STEPS, build
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.labels import load as load_labels
from pricing.references import resimulated
from pricing.specs.base import load
from pruning.errors import ImpossibleSparsity
from pruning.intervals.interval import ACTIVATION_ULPS
from pruning.shape import prove_shape
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.report.report import plain_report

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_the_plan_names_steps_that_exist(tiny: dict[str, Any]) -> None:
    prune = load_spec("prune", {"model": "tiny", "pruning": PRUNING})
    assert {*plan(prune), *plan(load_spec("train", tiny))} == set(STEPS) == set(WEIGHTS)


def test_the_same_specification_gives_the_same_bytes(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = load(BuildSpec, tiny)
    first, second = build(spec, tmp_path / "a"), build(spec, tmp_path / "b")
    assert files.files(first) == files.files(second)
    other = build(load(BuildSpec, tiny | {"seed": 2}), tmp_path / "c")
    assert other.model != first.model


def test_provenance_tells_how_to_make_it_again(tiny: dict[str, Any], tmp_path: Path) -> None:
    made = build(load(BuildSpec, tiny), tmp_path)
    provenance = plain_manifest(made.manifest)["provenance"]
    again = build(load(BuildSpec, provenance["build"]), tmp_path / "again")
    assert again.model == made.model
    assert provenance["parent"] is None
    assert provenance["simulated_paths"] >= tiny["labels"]["paths"] * tiny["labels"]["replicates"]


def test_a_network_that_sees_the_axes_of_the_deltas_is_like_any_other(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Its first layer has the rank of the axes; proof, pruning, file and report take it as it is."""
    spec = tiny | {"network": tiny["network"] | {"inputs": "differential_pca", "axes": 1}}
    made = build(load(BuildSpec, spec), tmp_path / "dense")
    assert np.linalg.matrix_rank(read_network(made.model).weights[0].numpy()) == 1
    assert plain_report(made.report)["axes"]["count"] == 1
    pruned = build(load(BuildSpec, spec | {"pruning": PRUNING}), tmp_path / "pruned")
    assert plain_report(pruned.report)["axes"] == plain_report(made.report)["axes"]
    assert plain_manifest(pruned.manifest)["certificate"]["shape"]


def test_progress_is_told_by_step(tiny: dict[str, Any], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    build(load(BuildSpec, tiny), tmp_path, lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert list(dict.fromkeys(step for step, _ in told)) == ["label", "train", "certify", "evaluate", "export"]
    assert shares == sorted(shares)


def test_the_certificate_is_about_the_exported_weights(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = load(BuildSpec, tiny)
    made = build(spec, tmp_path)
    network = read_network(made.model)
    assert list(plain_manifest(made.manifest)["certificate"]["shape"]) == prove_shape(
        network, spec.pricing, tolerance=spec.evaluation.tolerance, seed=spec.seed
    )
    assert "not of model.float32.onnx" in made.card
    assert f"sigmoid and tanh are within {ACTIVATION_ULPS} x 2^-52" in made.card
    for entry in plain_manifest(made.manifest)["certificate"]["shape"]:
        assert entry["statement"] in made.card


@pytest.mark.parametrize("pruning", [PRUNING | {"sparsity": 0.999}, {"method": "significance", "parameters": 1}])
def test_an_impossible_target_is_refused_before_anything_is_simulated(
    pruning: dict[str, Any], tiny: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ImpossibleSparsity, match="would leave"):
        build(load(BuildSpec, tiny | {"pruning": pruning}), tmp_path / "build")
    assert not (tmp_path / "build" / "labels.npz").exists()
    registry = Registry(tmp_path / "registry")
    registry.publish("tiny", build(load(BuildSpec, tiny), tmp_path / "parent"), job_id="parent")
    with pytest.raises(ImpossibleSparsity, match="would leave"):
        build(load_spec("prune", {"model": "tiny", "pruning": pruning}), tmp_path / "job", registry=registry.root)
    assert not (tmp_path / "job" / "labels.npz").exists()


def test_a_prune_job_continues_its_parent(tiny: dict[str, Any], tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    parent = build(load(BuildSpec, tiny), tmp_path / "parent")
    registry.publish("tiny", parent, job_id="parent")
    spec = load_spec("prune", {"model": "tiny", "pruning": PRUNING, "seed": 5})
    pruned = build(spec, tmp_path / "pruned", registry=registry.root)
    provenance = plain_manifest(pruned.manifest)["provenance"]
    assert provenance["parent"] == {"model": "tiny", "version": 1}
    assert provenance["build"] == plain_manifest(parent.manifest)["provenance"]["build"] | {
        "seed": 5,
        "pruning": provenance["build"]["pruning"],
    }
    assert provenance["simulated_paths"] == 2 * plain_manifest(parent.manifest)["provenance"]["simulated_paths"]
    assert 0 < read_network(pruned.model).parameters < read_network(parent.model).parameters
    assert plain_manifest(parent.manifest)["certificate"]["pruning"] is None
    difference = plain_manifest(pruned.manifest)["certificate"]["pruning"]
    assert difference["seen"]["value"] <= difference["value"]
    assert f"the value within {difference['value']:g}" in pruned.card
    registry.close()


def test_what_cannot_be_labelled_says_so(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["labels"] |= {"order": 2, "directions": 5}
    with pytest.raises(InvalidSpec, match="directions must be at most 2"):
        build(load(BuildSpec, tiny), tmp_path)


def history(rows: int) -> list[list[float]]:
    """States of two assets around (0.9, 1.1)."""
    normals = stream("history", seed=0).standard_normal((rows, 2))
    found: list[list[float]] = (normals @ np.array([[0.1, 0.05], [0.0, 0.1]]) + np.array([0.9, 1.1])).tolist()
    return found


@pytest.mark.parametrize("sparsity", [None, 0.5])
def test_labels_are_made_where_the_market_goes(tiny: dict[str, Any], sparsity: float | None, tmp_path: Path) -> None:
    flow = {"hidden": [4, 4], "steps": 2, "epochs": 2, "sparsity": sparsity}
    states = history(200)
    tiny["labels"] |= {"samples": 512, "sampler": {"kind": "table", "states": states, "flow": flow}}
    told: list[float] = []
    made = build(load(BuildSpec, tiny), tmp_path / "a", lambda _, share: told.append(share))
    assert told == sorted(told)
    features = load_labels(tmp_path / "a" / "labels.npz").features.numpy()
    np.testing.assert_allclose(features.mean(axis=0), [0.9, 1.1], atol=0.03)
    assert load(BuildSpec, tiny).box.contains(features).all()
    facts = plain_report(made.report)["labels"]["table"]
    assert facts["states"] == 200
    assert 0.9 < facts["inside"] <= 1.0
    again = build(load(BuildSpec, plain_manifest(made.manifest)["provenance"]["build"]), tmp_path / "b")
    assert files.files(again) == files.files(made)
    states[7][0] += 1e-9
    changed = build(load(BuildSpec, tiny), tmp_path / "c")
    hashes = [plain_manifest(one.manifest)["provenance"]["states_sha256"] for one in (made, again, changed)]
    assert hashes[0] == hashes[1] == facts["states_sha256"] != hashes[2]


def test_a_table_far_from_the_box_is_refused(tiny: dict[str, Any], tmp_path: Path) -> None:
    states = [[10.0 + x, 10.0 + y] for x, y in history(50)]
    flow = {"hidden": [2], "steps": 1, "epochs": 1}
    tiny["labels"] |= {"sampler": {"kind": "table", "states": states, "flow": flow}}
    with pytest.raises(InvalidSpec, match="0 of 1024 states drawn lie in the Box"):
        build(load(BuildSpec, tiny), tmp_path)


def test_early_exercise_is_reported_between_bounds(tiny: dict[str, Any], tmp_path: Path) -> None:
    """The report's points, a quarter, a half and three quarters of the way, are those of Andersen & Broadie's table."""
    tiny["problem"] |= {
        "maturity": 3.0,
        "process": {
            "kind": "black_scholes",
            "volatilities": [0.2, 0.2],
            "correlation": [[1.0, 0.0], [0.0, 1.0]],
            "rate": 0.05,
            "dividend_yields": [0.1, 0.1],
        },
        "payoff": {
            "kind": "bermudan",
            "option": {"kind": "best_of", "initial": [1.0, 1.0], "strike": 100.0},
            "dates": [(k + 1) / 9 for k in range(9)],
        },
        "features": [{"name": "spot", "lower": [80.0, 80.0], "upper": [120.0, 120.0]}],
    }
    made = build(load(BuildSpec, tiny), tmp_path)
    points = plain_report(made.report)["bounds"]
    assert plain_report(files.read(tmp_path / "artifact").report)["bounds"] == points
    table = Path(__file__).parents[2] / "reference" / "andersen_broadie.csv"
    rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["assets"] == "2"]
    for point, row in zip(points, rows, strict=True):
        assert point["features"] == (float(row["spot"]),) * 2
        assert point["low"] <= float(row["high"]) + 4.0 * point["low_error"]
        assert point["high"] >= float(row["low"]) - 4.0 * point["high_error"]
        assert 0.0 < point["low_error"] < 0.02 * point["low"]
        assert point["low"] > 0.97 * point["high"]
        assert len(point["exercise_probability"]) == 9
        assert min(point["exercise_probability"]) >= 0.0
    chances = [sum(point["exercise_probability"]) for point in points]
    assert 0.0 < chances[0] < chances[1] < chances[2] < 1.0


def test_a_gamma_that_no_reference_knows_is_unjudged(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resimulated, "MOST_PATHS", resimulated.LEAST_PATHS)
    tiny["problem"] |= {
        "process": {
            "kind": "heston",
            "initial_variances": [0.04],
            "mean_reversions": [2.0],
            "long_variances": [0.05],
            "variance_volatilities": [0.4],
            "spot_variance_correlations": [-0.6],
            "correlation": [[1.0]],
            "steps": 4,
        },
        "payoff": {"kind": "barrier", "strike": 1.0, "barrier": 0.7, "direction": "down", "knock": "out"},
        "features": [{"name": "spot", "lower": [0.7], "upper": [1.3]}],
    }
    tiny["labels"] |= {"order": 1}
    tiny["training"]["loss"] = {"order": 1}
    tiny["evaluation"] = {"samples": 16}
    made = build(load(BuildSpec, tiny), tmp_path)
    accuracy = plain_manifest(made.manifest)["accuracy"]
    assert {part["gamma"]["rmse"] for part in (accuracy, *accuracy["buckets"], *accuracy["triggers"])} == {None}
    assert accuracy["value"]["r2"] is not None
    assert accuracy["delta"]["r2"] is not None
    reason = plain_report(made.report)["reference"]["unjudged"]
    assert reason.startswith("gamma and all other second derivatives, which")
    assert "| gamma | unjudged | - | - |" in made.card
    assert reason in made.card
    page = report_page("tiny", 1, made.report)
    assert f"Unjudged, as no reference knows them: {reason}." in page


def test_what_has_one_date_has_no_bounds(tiny: dict[str, Any], tmp_path: Path) -> None:
    assert build(load(BuildSpec, tiny), tmp_path).report.bounds is None
