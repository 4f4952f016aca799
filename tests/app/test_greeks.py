"""Named Greeks of a surrogate with several features, from the build to the HTTP answer and the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from app.commands.line import app as command_line
from app.http.schemas import PriceRequest
from app.inference.derived import NAMES
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
    names, blocks = outputs["anyOf"]
    assert names == {"enum": [*OUTPUTS, *GREEKS, *NAMES]}
    assert set(blocks) == {"pattern"}


async def test_second_derivatives_have_names(greek_settings: Settings) -> None:
    """The blocks of the Hessian, by rows and by names, and theta's sign in whatever is by time."""
    whole = (await ask(greek_settings, {"inputs": ROWS})).json()
    gamma = np.array(whole["gamma"])
    names = ["charm", "dual_gamma", "gamma.maturity.spot", "gamma.spot.spot", "gamma.maturity.maturity", "value"]
    answer = (await ask(greek_settings, {"inputs": ROWS, "outputs": names, "gamma": "parallel"})).json()
    assert list(answer) == ["model", "version", "value", *names[:-1], "units", "in_domain"]
    assert answer["value"] == whole["value"]
    np.testing.assert_array_equal(answer["charm"], -gamma[:, :2, 3])
    np.testing.assert_array_equal(answer["dual_gamma"], gamma[:, 2, 2])
    np.testing.assert_array_equal(answer["gamma.maturity.spot"], gamma[:, 3, :2])
    np.testing.assert_array_equal(answer["gamma.spot.spot"], gamma[:, :2, :2])
    np.testing.assert_array_equal(answer["gamma.maturity.maturity"], gamma[:, 3, 3])
    assert answer["units"] == {
        "charm": "currency per currency per year",
        "dual_gamma": "currency per currency squared",
        "gamma.maturity.spot": "currency per year per currency",
        "gamma.spot.spot": "currency per currency squared",
        "gamma.maturity.maturity": "currency per year squared",
    }
    many = [ROWS[i % len(ROWS)] for i in range(1300)]
    chunks = (await ask(greek_settings, {"inputs": many, "outputs": ["charm", "implied_volatility"]})).json()
    np.testing.assert_array_equal(chunks["charm"], -gamma[np.arange(1300) % len(ROWS), :2, 3])
    assert chunks["implied_volatility"][:4] == chunks["implied_volatility"][4:8]
    assert len(chunks["implied_volatility_reason"]) == 1300


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "vega",
            "vega is a derivative by volatility or volatility_scale or initial_variance, which is no feature of this "
            "model: it has spot, strike, maturity; build it with volatility among problem.features",
        ),
        ("vanna", "it has spot, strike, maturity; build it with volatility among problem.features"),
        ("veta", "veta is a derivative by volatility or"),
        ("rho", "it has spot, strike, maturity, and no other of its problem is one"),
        ("gamma.spot.rate", "got 'gamma.spot.rate'"),
        ("gamma.spot.spot.spot", "got 'gamma.spot.spot.spot'"),
        ("speed", "got 'speed'"),
    ],
)
async def test_what_a_model_has_not_is_refused_with_the_way_to_it(
    greek_settings: Settings, name: str, told: str
) -> None:
    answer = await ask(greek_settings, {"inputs": ROWS, "outputs": ["value", name]})
    assert (answer.status_code, answer.json()["path"]) == (422, "outputs")
    assert told in answer.json()["detail"]
    assert "value, delta, gamma, strike, theta, charm, dual_gamma, implied_volatility" in answer.json()["detail"]


async def test_implied_volatility_comes_over_http(greek_settings: Settings) -> None:
    """Normal, and that of the basket; null with the reason where the value says nothing."""
    answer = (await ask(greek_settings, {"inputs": ROWS, "outputs": ["implied_volatility"]})).json()
    keys = ["implied_volatility", "implied_volatility_error", "implied_volatility_reason"]
    assert list(answer) == ["model", "version", *keys, "units", "in_domain"]
    assert answer["units"] == {"implied_volatility": "currency / sqrt(year)"}
    scaled = 0.5 * np.array([0.2, 0.3])
    sigma = float(np.sqrt(scaled @ np.array([[1.0, 0.5], [0.5, 1.0]]) @ scaled))
    assert answer["implied_volatility"][1] == pytest.approx(sigma, rel=2e-3)
    assert abs(answer["implied_volatility"][1] - sigma) < 10.0 * answer["implied_volatility_error"][1]
    # ten deviations in the money, where the value is the forward itself
    assert answer["implied_volatility"][2] is None
    assert answer["implied_volatility_error"][2] is None
    assert answer["implied_volatility_reason"] == [None, None, "value at or below intrinsic", answer[keys[2]][3]]
    outside = {"inputs": [[1.0, 1.0, 1.0, -1.0]], "outputs": ["implied_volatility"], "outside": "flag"}
    flagged = await ask(greek_settings, outside)
    assert flagged.json()["implied_volatility_reason"] == ["no time to maturity"]
    assert flagged.json()["in_domain"] == [False]


async def test_the_manifest_says_what_else_may_be_asked(greek_settings: Settings) -> None:
    app = create_app(greek_settings)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), client:
        manifest = (await client.get("/v1/models/parametric/versions/1")).json()
    assert manifest["derived_outputs"] == {
        "charm": "currency per currency per year",
        "dual_gamma": "currency per currency squared",
        "implied_volatility": "currency / sqrt(year)",
    }


def test_the_card_and_the_report_judge_the_implied_volatility(built: Artifact) -> None:
    score = built.report.implied_volatility
    assert score is not None
    assert (score.law, score.samples + score.undefined + score.missing) == ("normal", 256)
    assert score.rmse is not None
    assert 0.0 < score.rmse < 2e-3
    assert "Implied volatility (normal, currency / sqrt(year)) on " in built.card


def test_the_command_line_names_columns_by_both_features(greek_settings: Settings, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("\n".join(",".join(map(str, row)) for row in ROWS))
    asked = ["price", "parametric", "--input", str(rows), "--registry", str(greek_settings.registry), "--outputs"]
    result = CliRunner().invoke(command_line, [*asked, "charm,implied_volatility,value"])
    assert result.exit_code == 0, result.output
    table = list(csv.reader(io.StringIO(result.stdout)))
    implied = ["implied_volatility", "implied_volatility_error", "implied_volatility_reason"]
    assert table[0] == ["value", "charm spot[0] maturity", "charm spot[1] maturity", *implied, "in_domain"]
    assert table[3][3:6] == ["", "", "value at or below intrinsic"]
    assert float(table[2][3]) > 0.0
    shown = json.loads(CliRunner().invoke(command_line, [*asked, "charm,implied_volatility", "--json"]).stdout)
    assert shown["implied_volatility"][2] is None
    assert np.shape(shown["charm"]) == (4, 2)
    assert set(shown["units"]) == {"charm", "implied_volatility"}
