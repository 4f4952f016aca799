"""Named Greeks of a surrogate with several features, from the build to the HTTP answer and the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from app.commands.line import app as command_line
from app.http.schemas import PriceRequest
from app.main import create_app
from app.pipeline.build import build
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec
from pricing.specs.base import load
from pricing.specs.parameters import GREEKS, OUTPUTS
from surrogate.artifact.files import Artifact
from surrogate.artifact.manifest import plain_manifest

pytestmark = pytest.mark.anyio

ROWS = [[1.0, 1.1, 1.0, 0.05], [0.9, 1.0, 1.1, 2.0], [1.5, 1.5, 0.8, 0.05], [0.5, 0.5, 1.2, 2.0]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A call on two assets for every strike and maturity, built by the whole pipeline."""
    spec: dict[str, Any] = {
        "name": "parametric",
        "seed": 1,
        "problem": {
            "maturity": 1.0,
            "process": {"kind": "bachelier", "volatilities": [0.2, 0.3], "correlation": [[1.0, 0.5], [0.5, 1.0]]},
            "payoff": {"kind": "call", "weights": [0.5, 0.5], "strike": 1.0},
            "features": [
                {"name": "spot", "lower": [0.5, 0.5], "upper": [1.5, 1.5]},
                {"name": "strike", "lower": [0.8], "upper": [1.2]},
                {"name": "maturity", "lower": [0.05], "upper": [2.0]},
            ],
        },
        "labels": {"samples": 64, "paths": 256, "replicates": 2, "order": 1, "draws": {"pilot": 32}},
        "network": {"hidden": [3, 3]},
        "training": {
            "optimisers": [{"kind": "levenberg_marquardt", "starts": 3, "short": 20, "finalists": 1, "long": 60}]
        },
        "evaluation": {"samples": 256},
    }
    return build(load(BuildSpec, spec), tmp_path_factory.mktemp("build"))


@pytest.fixture
def greek_settings(tmp_path: Path, built: Artifact) -> Settings:
    registry = Registry(tmp_path / "registry")
    registry.publish("parametric", built, job_id="first")
    registry.close()
    (tmp_path / "bundled").mkdir()
    return Settings(registry=tmp_path / "registry", bundled=tmp_path / "bundled", drain_seconds=0.0)


async def ask(settings: Settings, body: dict[str, Any]) -> httpx.Response:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/v1/models/parametric/price", json=body)


def test_every_greek_is_judged_and_described(built: Artifact) -> None:
    accuracy = plain_manifest(built.manifest)["accuracy"]
    for greek in ("value", "delta", "gamma", "strike", "theta"):
        assert accuracy[greek]["r2"] > 0.99
        assert plain_manifest(built.manifest)["outputs"][greek].startswith("currency")
    assert plain_manifest(built.manifest)["outputs"]["theta"] == "currency per year"
    assert [feature["unit"] for feature in plain_manifest(built.manifest)["features"]] == [
        "currency",
        "currency",
        "years",
    ]
    pairs = {pair["pair"]: pair["r2"] for pair in accuracy["second_order"]}
    assert set(pairs) == {"spot, strike", "spot, maturity", "strike, strike", "strike, maturity", "maturity, maturity"}
    assert pairs["spot, strike"] > 0.9
    assert [entry["bucket"] for entry in accuracy["maturities"]] == [
        "0 <= maturity < 0.25",
        "0.25 <= maturity < 1",
        "1 <= maturity",
    ]
    assert plain_manifest(built.manifest)["network"]["widths"] == (2, 3, 3, 1)
    assert plain_manifest(built.manifest)["reduction"]["simulated"]["payoff"]["strike"] == 0.0
    assert "Exact scaling" in built.card
    assert "| theta |" in built.card
    assert "from 2 replicates, which is few" in built.card


async def test_the_page_of_the_report_has_every_greek_in_every_bucket(greek_settings: Settings) -> None:
    app = create_app(greek_settings)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), client:
        path = "/v1/models/parametric/versions/1/report"
        page = (await client.get(path, headers={"accept": "text/html"})).text
    for region in ("whole Box", "|d| &lt; 0.5", "maturity &lt; 0.25"):
        assert region in page
    for greek in ("value", "theta", "strike"):
        assert page.count(f"<td>{greek}</td>") == 1 + 3 + 3
    assert "strike, maturity" in page


async def test_named_greeks_come_over_http(greek_settings: Settings) -> None:
    answer = await ask(greek_settings, {"inputs": ROWS, "outputs": ["vega", "theta"]})
    assert answer.status_code == 422
    assert "value, delta, gamma, strike, theta" in answer.json()["detail"]
    assert answer.json()["path"] == "outputs"
    columns = {"spot": [row[:2] for row in ROWS], "strike": [r[2] for r in ROWS], "maturity": [r[3] for r in ROWS]}
    answer = await ask(greek_settings, {"inputs": columns, "outputs": ["theta", "delta", "strike"]})
    found = answer.json()
    assert list(found) == ["model", "version", "delta", "strike", "theta", "in_domain"]
    by_rows = await ask(greek_settings, {"inputs": ROWS, "outputs": ["theta", "delta", "strike"]})
    assert by_rows.json() == found
    delta = np.array(found["delta"])
    np.testing.assert_array_equal(found["strike"], delta[:, 2])
    np.testing.assert_array_equal(found["theta"], -delta[:, 3])
    # the third row is ten deviations in the money, the forward itself
    np.testing.assert_allclose(delta[2], [0.5, 0.5, -1.0, 0.0], atol=1e-12)


def test_the_command_line_takes_outputs(greek_settings: Settings, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("\n".join(",".join(map(str, row)) for row in ROWS))
    asked = ["price", "parametric", "--input", str(rows), "--registry", str(greek_settings.registry), "--outputs"]
    result = CliRunner().invoke(command_line, [*asked, "theta, value"])
    assert result.exit_code == 0, result.output
    table = list(csv.reader(io.StringIO(result.stdout)))
    assert table[0] == ["value", "theta", "in_domain"]
    assert len(table) == 1 + len(ROWS)
    result = CliRunner().invoke(command_line, [*asked, "speed"])
    assert result.exit_code != 0


def test_the_schema_knows_every_name() -> None:
    outputs = PriceRequest.model_json_schema()["properties"]["outputs"]["items"]
    assert outputs == {"type": "string", "enum": [*OUTPUTS, *GREEKS]}
