"""What was published once is read for ever, by what it says and not by what it might say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.settings import bundled_models
from pricing.domain import Box
from surrogate.artifact.files import to_json
from surrogate.artifact.manifest import Manifest, plain_manifest, read_box, read_manifest
from surrogate.errors import CorruptArtifact
from surrogate.report.record import known

BUNDLED = bundled_models() / "bachelier-basket-7" / "1" / "manifest.json"


def read(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_bytes())
    return plain


def test_the_bundled_manifest_comes_back_byte_for_byte() -> None:
    assert to_json(plain_manifest(read_manifest(read(BUNDLED)))) == BUNDLED.read_bytes()


@pytest.mark.parametrize(
    ("missing", "within"),
    [
        ("certificate", ""),
        ("parity", ""),
        ("hashes", ""),
        ("problem", ""),
        ("nodes", "network"),
        ("libraries", "provenance"),
        ("parent", "provenance"),
        ("job", "provenance"),
    ],
)
def test_what_an_older_file_does_not_say_stays_unsaid(missing: str, within: str) -> None:
    plain = read(BUNDLED)
    del (plain[within] if within else plain)[missing]
    older = read_manifest(plain)
    assert json.loads(to_json(plain_manifest(older))) == plain
    assert older.network.widths == (7, 3, 3, 1)
    if missing == "certificate":
        assert known(older.certificate) is None


def test_what_a_newer_file_says_besides_is_ignored() -> None:
    plain = read(BUNDLED)
    older = read_manifest(plain)
    plain["weather"] = plain["accuracy"]["value"]["bias"] = {"of": "tomorrow"}
    plain["network"]["dropout"] = plain["provenance"]["host"] = 1
    plain["features"][0]["colour"] = plain["accuracy"]["mood"] = "blue"
    assert read_manifest(plain) == older


@pytest.mark.parametrize("change", [{"features": 1}, {"accuracy": []}, {"network": {}}, {"provenance": None}])
def test_what_is_no_manifest_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptArtifact, match="this is no manifest"):
        read_manifest(read(BUNDLED) | change)


def test_a_box_is_read_from_its_features_alone(manifest: Callable[..., Manifest], box: Box) -> None:
    features = [{"name": "spot", "lower": [0.5, 0.4, 0.3], "upper": [1.5, 1.6, 1.7], "unit": "currency", "more": 1}]
    assert read_box({"features": features}) == box
    with pytest.raises(CorruptArtifact, match="no features"):
        read_box({"name": "basket"})


def test_outputs_lie_beside_their_samples(manifest: Callable[..., Manifest]) -> None:
    plain = plain_manifest(manifest())
    assert list(plain["accuracy"]) == ["samples", "value", "delta", "gamma", "buckets"]
    assert "frobenius_error" not in plain["accuracy"]["value"]
