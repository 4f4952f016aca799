"""From a file of noisy labels over HTTP to a published model, and the store in between."""

from __future__ import annotations

import asyncio
import io
import json
import resource
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from typer.testing import CliRunner

from app.cli import app as command_line
from app.datasets import store
from app.datasets.lookup import settle_dataset
from app.datasets.table import Limits
from app.errors import UnknownDataset
from app.pipeline import steps
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec, PruneJobSpec
from app.specification.dataset import DatasetSource
from app.specification.jobs import load_spec
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.types import Array
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.learning.ridge import draw_groups
from surrogate.report.report import plain_report

LIMITS = Limits(rows=10_000, size=1 << 24)
TRAINING = {"optimisers": [{"kind": "levenberg_marquardt", "starts": 2, "short": 5, "finalists": 1, "long": 5}]}


def arrays(points: int = 200, each: int = 1) -> dict[str, Array]:
    """One path a row of a call on two assets, ``each`` rows at a point."""
    generator = np.random.default_rng(1)
    x = np.repeat(generator.uniform(0.5, 1.5, (points, 2)), each, axis=0)
    level = (x + 0.2 * generator.standard_normal(x.shape)) @ np.array([0.5, 0.5]) - 1.0
    return {"x": x, "y": np.maximum(level, 0.0), "dydx": (level > 0.0)[:, None] * np.array([0.5, 0.5])}


def packed(parts: dict[str, Array]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **parts)  # type: ignore[arg-type]  # allow_pickle is not among them
    return file.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labels.npz"
    path.write_bytes(packed(arrays()))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def stored(file: Path, root: Path) -> str:
    """The id of a dataset in the store."""
    return str(store.import_file(file, root, LIMITS)[0]["dataset"])


def given(identifier: str, **other: Any) -> dict[str, Any]:
    source = {"id": identifier}
    return {"name": "given", "seed": 1, "dataset": source, "network": {"hidden": [2]}, "training": TRAINING, **other}


def test_the_same_content_is_the_same_dataset(file: Path, root: Path, tmp_path: Path) -> None:
    facts, new = store.import_file(file, root, LIMITS, name="first")
    again, newer = store.import_file(file, root, LIMITS, name="second")
    assert (new, newer, again) == (True, False, facts)
    parts = arrays()
    table = np.column_stack([parts["x"], parts["y"], parts["dydx"]])
    text = "x0,x1,y,dydx0,dydx1\n" + "\n".join(",".join(map(repr, row)) for row in table.tolist())
    (tmp_path / "labels.csv").write_text(text)
    assert store.import_file(tmp_path / "labels.csv", root, LIMITS) == (facts, False)
    (tmp_path / "named.csv").write_text(text.replace("x0,x1", "a,b", 1))
    assert store.import_file(tmp_path / "named.csv", root, LIMITS)[0]["dataset"] != facts["dataset"]
    assert {path.suffix for path in (root / "datasets").iterdir()} == {".npz", ".json"}


def test_what_is_stored_is_what_was_given(stored: str, root: Path) -> None:
    for name, part in arrays().items():
        np.testing.assert_array_equal(store.read(root, stored)[name], part)
    facts, parts = store.find(root, stored), arrays()
    assert (facts["rows"], facts["distinct_rows"], facts["derivatives"], facts["weights"]) == (200, 200, True, False)
    assert facts["features"] == [
        {
            "name": "x",
            "lower": parts["x"].min(axis=0).tolist(),
            "upper": parts["x"].max(axis=0).tolist(),
            "unit": "unit",
        }
    ]
    assert facts["statistics"]["y"]["mean"] == parts["y"].mean()
    for unknown in ("0" * 64, "../" + stored, ""):
        with pytest.raises(UnknownDataset):
            store.find(root, unknown)


def test_a_build_takes_the_inferred_box_or_a_given_one(stored: str, root: Path) -> None:
    spec = load(BuildSpec, given(stored))
    with pytest.raises(InvalidSpec):
        _ = spec.box
    inferred = settle_dataset(spec, root)
    assert inferred.box.dimension == 2
    features = [
        {"name": "spot", "lower": [0.6], "upper": [1.4]},
        {"name": "strike", "lower": [0.6], "upper": [1.4], "unit": "EUR"},
    ]
    edited = settle_dataset(load(BuildSpec, given(stored, dataset={"id": stored, "features": features})), root)
    assert edited.box.labels == ("spot", "strike")
    wide = {"id": stored, "features": [{"name": "spot", "lower": [0.6], "upper": [1.4]}]}
    with pytest.raises(InvalidSpec, match="1 coordinates and the dataset 2 columns"):
        settle_dataset(load(BuildSpec, given(stored, dataset=wide)), root)


def test_labels_without_derivatives_need_a_loss_of_values(root: Path, tmp_path: Path) -> None:
    parts = arrays()
    del parts["dydx"]
    (tmp_path / "values.npz").write_bytes(packed(parts))
    facts, _ = store.import_file(tmp_path / "values.npz", root, LIMITS)
    with pytest.raises(InvalidSpec, match=r"labels of order 0; set training\.loss\.order = 0, or import columns dydx"):
        settle_dataset(load(BuildSpec, given(facts["dataset"])), root)
    spec = load(BuildSpec, given(facts["dataset"], training=TRAINING | {"loss": {"order": 0}}))
    report = steps.build(spec, tmp_path / "job", registry=root).report
    assert report.accuracy["delta"].r2 is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"inputs": "differential_pca"}}, 'network.inputs needs .*; set network.inputs = "features", or'),
        ({"pruning": {"rows": "sobolev"}}, 'pruning.rows needs .*; set pruning.rows = "gauss_newton", or import'),
        (
            {"pruning": {"fine_tuning": {}}},
            "fine_tuning.loss needs .*; set pruning.fine_tuning.loss.order = 0, or import",
        ),
        (
            {"training": {}, "network": {}, "polynomial": {}},
            "polynomial needs .*; set polynomial.derivative_weight = 0",
        ),
    ],
)
def test_what_lacks_derivatives_is_told_with_the_way_out(
    root: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "values.npz").write_bytes(packed({name: part for name, part in arrays().items() if name != "dydx"}))
    identifier = store.import_file(tmp_path / "values.npz", root, LIMITS)[0]["dataset"]
    if "pruning" in change:
        change = {"pruning": {"method": "magnitude", "sparsity": 0.3} | change["pruning"]}
    spec = given(identifier, training={"loss": {"order": 0}}) | change
    with pytest.raises(InvalidSpec, match=message):
        settle_dataset(load(BuildSpec, spec), root)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"dataset": {"id": "abc"}}, "dataset.id"),
        ({"dataset": {"id": "0" * 64, "file": "x.csv"}}, "dataset"),
        ({"dataset": {"id": "0" * 64, "held_out": 0.0}}, "dataset.held_out"),
        ({"labels": {"samples": 64}}, "labels"),
        ({"dataset": None}, "problem"),
    ],
)
def test_a_build_from_a_dataset_is_checked(change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_spec("train", given("0" * 64, **change))
    assert caught.value.fields["path"].startswith(path)


def test_a_model_is_built_pruned_and_described(stored: str, root: Path, tmp_path: Path) -> None:
    spec = load(BuildSpec, given(stored))
    made = steps.build(spec, tmp_path / "job", registry=root)
    manifest, report = plain_manifest(made.manifest), plain_report(made.report)
    assert manifest["problem"] is None
    assert manifest["features"][0]["name"] == "x"
    assert manifest["certificate"]["shape"] is None
    assert "not known" in manifest["certificate"]["no_shape"]
    assert (report["labels"]["learnt_from"], report["labels"]["held_out"]) == (180, 20)
    assert report["accuracy"]["gamma"]["r2"] is None
    assert report["ridge"]["ridge"] > 0.0
    assert f"dataset `{stored}`, 180 of its 200 rows" in made.card
    x = arrays()["x"]
    assert f"| unit | {x.min():g} | {x.max():g} |" in made.card
    assert manifest["provenance"]["simulated_paths"] == 0
    origin = manifest["provenance"]["build"]
    assert not {"problem", "labels", "evaluation"} & set(origin)
    assert load(BuildSpec, origin) == settle_dataset(spec, root)
    same = steps.build(spec, tmp_path / "again", registry=root)
    assert files.files(same) == files.files(made)
    registry = Registry(root)
    registry.publish("given", made, job_id="first")
    registry.close()
    pruning = {"method": "magnitude", "sparsity": 0.3, "fine_tuning": TRAINING}
    job = load(PruneJobSpec, {"model": "given", "pruning": pruning})
    pruned = steps.build(job, tmp_path / "prune", registry=root)
    assert plain_manifest(pruned.manifest)["network"]["parameters"] < manifest["network"]["parameters"]
    assert plain_manifest(pruned.manifest)["provenance"]["parent"] == {"model": "given", "version": 1}


def test_repeated_rows_stay_together_and_tell_the_noise(root: Path, tmp_path: Path) -> None:
    parts = arrays(500, 4)
    (tmp_path / "paths.npz").write_bytes(packed(parts))
    facts, _ = store.import_file(tmp_path / "paths.npz", root, LIMITS)
    assert (facts["distinct_rows"], facts["copies"]) == (500, 0)
    made = steps.build(load(BuildSpec, given(facts["dataset"])), tmp_path / "job", registry=root)
    report = plain_report(made.report)
    assert report["labels"]["held_out"] % 4 == 0
    assert report["noise_floor"]["value"] == pytest.approx(replicated(parts["y"]))
    assert report["noise_floor"]["delta"] == pytest.approx(replicated(parts["dydx"]))
    for greek in ("value", "delta"):
        scores = report["accuracy"][greek]
        assert scores["r2"] < 0.8 < scores["explained"] <= 1.0
        assert 0.0 < scores["explained_error"] < 0.1
        assert f"| {scores['explained']:.5f} +- {scores['explained_error']:.0e} |" in made.card


def replicated(part: Array) -> float:
    """Root mean square deviation of four paths at a point."""
    return float(np.sqrt(part.reshape(500, 4, -1).var(axis=1, ddof=1).mean()))


def test_copied_rows_do_not_tell_the_noise(root: Path, tmp_path: Path) -> None:
    parts = {name: np.repeat(part, 10, axis=0) for name, part in arrays(100).items()}
    (tmp_path / "copies.npz").write_bytes(packed(parts))
    command = ["dataset", "import", str(tmp_path / "copies.npz"), "--registry", str(root)]
    shown = CliRunner().invoke(command_line, command).stdout
    assert "1000 rows at 100 points; 900 are copies of others" in shown
    identifier = store.catalogue(root)[0]["dataset"]
    made = steps.build(load(BuildSpec, given(identifier)), tmp_path / "job", registry=root)
    assert plain_report(made.report)["noise_floor"] is None
    assert plain_report(made.report)["accuracy"]["value"]["explained"] is None
    assert "900 rows are copies of others" in made.card


def test_a_box_stays_where_the_data_are(stored: str, root: Path) -> None:
    facts = store.find(root, stored)
    least, largest = facts["statistics"]["x[1]"]["least"], facts["statistics"]["x[1]"]["largest"]

    def settle(lower: float, upper: float) -> BuildSpec:
        features = [
            {"name": "spot", "lower": [0.6], "upper": [1.4]},
            {"name": "strike", "lower": [lower], "upper": [upper]},
        ]
        return settle_dataset(load(BuildSpec, given(stored, dataset={"id": stored, "features": features})), root)

    room = 0.05 * (largest - least)
    assert settle(least - 0.99 * room, largest + 0.99 * room).box.labels == ("spot", "strike")
    for lower, upper in ((least - 1.01 * room, 1.4), (0.6, 1000.0), (50.0, 60.0)):
        with pytest.raises(
            InvalidSpec, match=rf"strike goes from .* to {upper:g} and the data of column x\[1\]"
        ) as told:
            settle(lower, upper)
        assert told.value.fields["bound"] == pytest.approx([least - room, largest + room])


def test_what_is_left_after_the_split_is_told(root: Path, tmp_path: Path) -> None:
    parts = arrays()
    parts["x"][0] = 1.6
    (tmp_path / "labels.npz").write_bytes(packed(parts))
    identifier = store.import_file(tmp_path / "labels.npz", root, LIMITS)[0]["dataset"]
    corner = {"id": identifier, "features": [{"name": "x", "lower": [1.55, 1.55], "upper": [1.6, 1.6]}]}
    with pytest.raises(
        InvalidSpec, match=r"180 rows to learn from 1 lie in the Box, and of 20 held-out rows 0; .* learnt"
    ):
        steps.build(load(BuildSpec, given(identifier, dataset=corner)), tmp_path / "corner", registry=root)
    parts["y"] = np.where(np.arange(200) == held_out_row(parts["x"]), 1.0, 0.0)
    (tmp_path / "labels.npz").write_bytes(packed(parts))
    identifier = store.import_file(tmp_path / "labels.npz", root, LIMITS)[0]["dataset"]
    with pytest.raises(InvalidSpec, match="y is 0 in all 180 rows to learn from"):
        steps.build(load(BuildSpec, given(identifier)), tmp_path / "constant", registry=root)


def held_out_row(x: Array) -> int:
    """A row that the split of `given` holds out, whatever the labels."""
    seed = int(stream("held_out", seed=1).integers(1 << 63))
    return int(draw_groups(torch.from_numpy(x), generator=torch.Generator().manual_seed(seed))[0])


def test_an_import_that_fails_leaves_nothing(file: Path, root: Path) -> None:
    """As on a full disk: there is room for the numbers and not for what is said of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.import_file(file, root, LIMITS, name="x" * (1 << 15))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((root / "datasets").iterdir()) == []
    assert store.import_file(file, root, LIMITS)[1]


@pytest.mark.anyio
async def test_datasets_over_http(client: httpx.AsyncClient) -> None:
    content = packed(arrays())
    first = await client.post("/v1/datasets", files={"file": ("labels.npz", content)}, data={"name": "desk"})
    assert first.status_code == 201
    facts = first.json()
    assert (facts["rows"], facts["distinct_rows"], facts["copies"], facts["name"]) == (200, 200, 0, "desk")
    assert first.headers["location"] == f"/v1/datasets/{facts['dataset']}"
    assert (await client.get(first.headers["location"])).json() == facts
    second = await client.post("/v1/datasets", files={"file": ("other name", content)})
    assert (second.status_code, second.json()) == (200, facts)
    listed = (await client.get("/v1/datasets")).json()["datasets"]
    assert [dataset["dataset"] for dataset in listed] == [facts["dataset"]]
    job = await client.post("/v1/jobs", json={"kind": "train", "spec": given(facts["dataset"])})
    assert job.status_code == 202
    unknown = await client.post("/v1/jobs", json={"kind": "train", "spec": given("0" * 64)})
    assert (unknown.status_code, "0" * 64 in unknown.json()["detail"]) == (404, True)
    assert (await client.get("/v1/datasets/" + "0" * 64)).status_code == 404


@pytest.mark.anyio
async def test_what_is_wrong_with_an_upload_is_told(client: httpx.AsyncClient, settings: Settings) -> None:
    bad = await client.post("/v1/datasets", files={"file": ("a.csv", b"x0,y\n1,nan\n2,3\n")})
    assert (bad.status_code, bad.json()["path"]) == (422, "line 2.y")
    missing = await client.post("/v1/datasets", files={"other": ("a.csv", b"x0,y\n1,2\n")})
    assert missing.status_code == 422
    assert not list((settings.registry / "datasets").glob("*"))


@pytest.mark.anyio
async def test_imports_wait_for_each_other(served: FastAPI, client: httpx.AsyncClient) -> None:
    """Together they take no more memory than one, and each gets its own answer."""
    async with served.state.importing:
        files = [packed(arrays(rows)) for rows in (30, 40, 40)]
        sent = [asyncio.create_task(client.post("/v1/datasets", files={"file": ("a", file)})) for file in files]
        _, pending = await asyncio.wait(sent, timeout=0.2)
        assert len(pending) == 3
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200, 201, 201]
    assert [answer.json()["rows"] for answer in answers] == [30, 40, 40]


@pytest.mark.anyio
async def test_an_upload_may_be_larger_than_a_price_request_but_not_endless(settings: Settings) -> None:
    from app.main import create_app

    small = settings.model_copy(update={"body_bytes": 1024, "dataset_bytes": 4096})
    app = create_app(small)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            fits = await client.post("/v1/datasets", files={"file": ("a.npz", packed(arrays(40)))})
            assert fits.status_code == 201
            too_long = await client.post("/v1/datasets", files={"file": ("a.csv", b"1," * (1 << 16))})
            assert too_long.status_code == 413


def test_the_commands_import_and_build_from_a_file(file: Path, root: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    imported = runner.invoke(command_line, ["dataset", "import", str(file), "--registry", str(root), "--json"])
    assert imported.exit_code == 0, imported.output
    identifier = json.loads(imported.stdout)["dataset"]
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root), "--json"])
    assert [facts["dataset"] for facts in json.loads(listed.stdout)] == [identifier]
    assert identifier in runner.invoke(command_line, ["dataset", "show", identifier, "--registry", str(root)]).stdout
    (tmp_path / "spec.toml").write_text(
        'name = "given"\nseed = 1\ndataset = { file = "labels.npz" }\nnetwork = { hidden = [2] }\n'
        'training = { optimisers = [{ kind = "levenberg_marquardt", starts = 1, short = 3, long = 3 }] }\n'
    )
    empty = tmp_path / "bundled"
    environment = {"SOBOLITE_BUNDLED": str(empty)}
    built = runner.invoke(
        command_line, ["build", str(tmp_path / "spec.toml"), "--registry", str(root)], env=environment
    )
    assert built.exit_code == 0, built.output
    assert "published given@1" in built.stdout
    shown = runner.invoke(command_line, ["models", "show", "given", "--registry", str(root)], env=environment)
    assert shown.exit_code == 0, shown.output


def test_a_source_survives_the_manifest(stored: str, root: Path) -> None:
    spec = settle_dataset(load(BuildSpec, given(stored)), root)
    assert load(BuildSpec, json.loads(json.dumps(dump(spec)))) == spec
    assert isinstance(spec.dataset, DatasetSource)
