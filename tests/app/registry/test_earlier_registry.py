"""A registry that version 0.1 of before the rooms made: it loads, prices, is pruned and built again.

`answers.json` holds every output of every version at three points of its Box, as that version answered.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.http.routes.models import router
from app.inference.predictor import load_predictor
from app.main import create_app
from app.pipeline.build import build
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import load
from pricing.types import Array
from surrogate.artifact.files import read
from surrogate.artifact.manifest import plain_manifest

DATA = Path(__file__).parents[2] / "data" / "registry_0_1"
ANSWERS = json.loads((DATA / "answers.json").read_text())
# A build on another processor differs in the last bits of its labels, and what it learns by somewhat more.
REBUILT = 1e-5
# A Heston Bermudan of few paths, whose steps and exercise rule are others since: its values are near what they were.
LEARNT_OTHERWISE = {"straight@1": 0.1}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return shutil.copytree(DATA, tmp_path / "registry")


def folder(root: Path, reference: str) -> Path:
    return root / Path(*reference.split("@"))


def points(version: Path) -> Array:
    box = load_predictor(version, provider="cpu").box
    shares: Array = np.array([[0.2], [0.5], [0.8]])
    return box.from_uniforms(shares)


def assert_answers(version: Path, reference: str, *, tolerance: float, outputs: tuple[str, ...] | None = None) -> None:
    """Every output, or those asked for, is what it was, up to a share of its largest entry."""
    predictor, expected = load_predictor(version, provider="cpu"), ANSWERS[reference]
    assert list(predictor.sizes) == list(expected)
    for name, answer in predictor.run(points(version), outputs or tuple(expected)).items():
        want = np.array(expected[name])
        np.testing.assert_allclose(answer, want, rtol=0.0, atol=tolerance * np.abs(want).max())


def test_names_versions_and_aliases(root: Path) -> None:
    registry = Registry(root)
    catalogue = {model["name"]: model for model in registry.catalogue()}
    assert set(catalogue) == {reference.partition("@")[0] for reference in ANSWERS}
    assert catalogue["tiny"]["versions"] == [1, 2]
    assert catalogue["tiny"]["aliases"] == {"champion": 1, "latest": 2, "steady": 1}


@pytest.mark.parametrize("reference", ANSWERS)
def test_answers_are_what_they_were(reference: str) -> None:
    assert_answers(folder(DATA, reference), reference, tolerance=1e-12)


@pytest.mark.parametrize("reference", [name for name in ANSWERS if name != "tiny@2"])
def test_what_is_published_can_be_built_again(reference: str, root: Path, tmp_path: Path) -> None:
    version = folder(root, reference)
    spec = load(BuildSpec, plain_manifest(read(version).manifest)["provenance"]["build"])
    made = build(spec, tmp_path / "job", registry=root)
    (version / "model.onnx").write_bytes(made.model)
    shutil.copytree(tmp_path / "job" / "artifact", tmp_path / "made" / "1")
    if (near := LEARNT_OTHERWISE.get(reference)) is None:
        assert_answers(tmp_path / "made" / "1", reference, tolerance=REBUILT)
    else:
        assert_answers(tmp_path / "made" / "1", reference, tolerance=near, outputs=("value",))


def test_a_version_is_pruned_as_it_was(root: Path, tmp_path: Path) -> None:
    pruned = plain_manifest(read(folder(root, "tiny@2")).manifest)["provenance"]
    given = {"model": "tiny", "version": 1, "seed": pruned["seed"], "pruning": pruned["build"]["pruning"]}
    build(load(PruneJobSpec, given), tmp_path / "job", registry=root)
    shutil.copytree(tmp_path / "job" / "artifact", tmp_path / "made" / "2")
    assert_answers(tmp_path / "made" / "2", "tiny@2", tolerance=REBUILT)


@pytest.mark.anyio
@pytest.mark.parametrize("reference", ANSWERS)
async def test_manifest_and_report_are_served(reference: str, root: Path, tmp_path: Path) -> None:
    name, _, version = reference.partition("@")
    app = create_app(Settings(registry=root, bundled=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            address = f"{router.prefix}/{name}/versions/{version}"
            manifest = (await client.get(address)).raise_for_status().json()
            report = (await client.get(f"{address}/report")).raise_for_status().json()
            page = await client.get(f"{address}/report", headers={"Accept": "text/html"})
    published = json.loads((folder(DATA, reference) / "manifest.json").read_bytes())
    assert published.items() <= manifest.items()
    assert report == json.loads((folder(DATA, reference) / "report.json").read_bytes())
    assert page.status_code == 200
    assert name in page.text
