from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from surrogate.artifact.manifest import Manifest, read_manifest
from surrogate.report.report import AnyReport, read_report

SCORE = {"r2": 0.9987654, "rmse": 1e-3, "max_error": 2e-3}


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    """The manifest of a call on two assets, from plain data with changes."""

    def changed(**changes: Any) -> Manifest:
        gamma = {**SCORE, "frobenius_error": 1e-3, "parallel_r2": 0.9}
        plain: dict[str, Any] = {
            "name": "basket",
            "problem": None,
            "features": [{"name": "spot", "lower": [0.5, 0.5], "upper": [1.5, 1.5], "unit": "currency"}],
            "outputs": {"value": "", "delta": "", "gamma": ""},
            "network": {"widths": [2, 3, 1], "activation": "silu", "parameters": 13, "nodes": 40},
            "accuracy": {"samples": 64, "value": SCORE, "delta": SCORE, "gamma": gamma, "buckets": []},
            "certificate": None,
            "provenance": {"build": {"labels": {"replicates": 8}}, "seed": 1, "simulated_paths": 1024},
        }
        return read_manifest(plain | changes)

    return changed


@pytest.fixture
def report() -> Callable[..., AnyReport]:
    """The report of that surrogate, from plain data with changes."""

    def changed(**changes: Any) -> AnyReport:
        gamma = {**SCORE, "frobenius_error": 1e-3, "parallel_r2": 0.9}
        plain: dict[str, Any] = {
            "accuracy": {"samples": 64, "value": SCORE, "delta": SCORE, "gamma": gamma, "buckets": []},
            "reference": {"kind": "closed form", "relative_error": 1e-12, "perfect_r2": {}},
            "noise_floor": {"value": 1e-4, "delta": 2e-4},
            "shape": [],
            "evaluation": {"samples": 64, "asked": 64, "points": "in the Box"},
        }
        return read_report(plain | changes)

    return changed
