from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from surrogate.artifact.dataset_card import dataset_card
from surrogate.artifact.manifest import Manifest
from surrogate.report.report import AnyReport

UNKNOWN = dict.fromkeys(("r2", "rmse", "max_error", "explained", "explained_error", "frobenius_error", "parallel_r2"))
LABELS: dict[str, Any] = {
    "dataset": "abc",
    "rows": 200,
    "copies": 0,
    "least": [0.6, 0.4],
    "largest": [1.4, 1.6],
    "learnt_from": 180,
    "learnt_from_in_box": 170,
    "held_out": 20,
    "simulated_paths": 0,
    "noise": None,
}
Cards = Callable[..., str]


@pytest.fixture
def card(manifest: Callable[..., Manifest], report: Callable[..., AnyReport]) -> Cards:
    """The card of imported labels with changes, and of a value with a score."""

    def made(labels: dict[str, Any], floor: dict[str, float] | None, explained: float | None) -> str:
        value = {"r2": 0.9, "rmse": 0.1, "max_error": 0.2, "explained": explained, "explained_error": explained}
        accuracy = {"samples": 20, "value": value, "delta": UNKNOWN, "gamma": UNKNOWN, "buckets": []}
        facts = {"labels": LABELS | labels, "noise_floor": floor, "gamma_size": {"rms": 1.5, "largest": 2.5}}
        return dataset_card(manifest(accuracy=accuracy), report(**facts))

    return made


def test_only_what_has_labels_is_scored(card: Cards) -> None:
    text = card({}, None, None)
    assert "| value | 0.9000000 | 1.00e-01 | 2.00e-01 | - |" in text
    assert "| delta |" not in text
    assert "dataset `abc`, 180 of its 200 rows,\n170 of them within the bounds" in text
    assert "| spot (2) | 0.5 | 1.5 | currency | 0.4 | 1.6 |" in text
    assert "is 1.50e+00 on average and 2.50e+00 at most" in text
    assert "cannot be told apart.\n" in text


def test_noise_that_repeated_rows_tell_is_stated(card: Cards) -> None:
    text = card({"copies": 3}, {"value": 0.05}, 0.97)
    assert "5.00e-02 in value (root mean square)" in text
    assert "| 0.97000 +- 1e+00 |" in text
    assert "3 rows are copies of others" in text
