"""What the documentation of the routes says is what the code does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from app.http.schemas import AliasTarget, PriceAnswer, PriceRequest, VersionManifest
from app.inference.derived import NAMES
from app.inference.predictor import DEFAULT_OUTPUTS
from pricing.specs.parameters import GREEKS


def test_every_output_that_a_model_may_have_is_documented() -> None:
    items = PriceRequest.model_json_schema()["properties"]["outputs"]["items"]
    names, blocks = items["anyOf"]
    assert names["enum"] == [*DEFAULT_OUTPUTS, *GREEKS, *NAMES]
    assert PriceRequest.model_validate({"inputs": [[1.0]], "outputs": ["gamma.spot.strike"]})
    assert re.fullmatch(blocks["pattern"], "gamma.spot.strike")
    assert tuple(PriceRequest.model_validate({"inputs": [[1.0]]}).outputs) == DEFAULT_OUTPUTS


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [[1.0]], "more": 1},
        {"inputs": [["1.0"]]},
        {"inputs": [[float("nan")]]},
        {"inputs": {"spot": []}},
        {"inputs": [[1.0]], "outputs": []},
        {"inputs": [[1.0]], "outputs": ["gama"]},
        {"inputs": [[1.0]], "outputs": ["gamma.spot"]},
        {"inputs": [[1.0]], "outputs": ["gamma.spot.strike.spot"]},
        {"inputs": [[1.0]], "gamma": "half"},
        {"inputs": [[1.0]], "outside": "ignore"},
    ],
)
def test_the_documented_request_is_as_strict_as_the_route(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PriceRequest.model_validate(body)


@pytest.mark.parametrize("version", [0, -1, True, 1.5, "1"])
def test_an_alias_points_to_a_number(version: Any) -> None:
    with pytest.raises(ValidationError):
        AliasTarget.model_validate({"version": version})


def test_answers_and_manifests_keep_what_is_not_documented() -> None:
    answer = PriceAnswer.model_validate({"model": "a", "version": 1, "in_domain": [True], "vega": [0.1]})
    assert answer.model_dump(exclude_none=True)["vega"] == [0.1]
    sections = ("outputs", "network", "accuracy", "provenance", "hashes", "files")
    manifest: dict[str, Any] = {section: {} for section in sections}
    manifest |= {
        "name": "a",
        "version": 1,
        "published": "",
        "aliases": [],
        "sha256": "",
        "features": [],
        "problem": None,
    }
    assert VersionManifest.model_validate(manifest | {"reduction": {"formula": "h"}}).model_extra == {
        "reduction": {"formula": "h"}
    }
