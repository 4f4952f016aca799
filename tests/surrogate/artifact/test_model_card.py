"""The card says what was measured, against what, and how sure of it anybody may be."""

from __future__ import annotations

from typing import Any

import pytest

from surrogate.artifact.files import show_r2
from surrogate.artifact.model_card import bounds, card, gammas, judged, label_errors

EXACT = {"kind": "closed form", "relative_error": 1e-12, "perfect_r2": {}}
AGAIN = {
    "kind": "resimulated (same simulator and estimator, other seed and steps)",
    "relative_error": 2e-3,
    "value_error": 5.4e-3,
    "delta_error": 1e-3,
    "gamma_error": 3e-2,
    "perfect_r2": {"value": 0.9999, "delta": 0.999, "gamma": 0.98},
}
SCORES = {"r2": 0.9987654, "rmse": 1e-3, "max_error": 2e-3}


def manifest(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": "basket",
        "problem": {"payoff": {"kind": "call", "weights": [0.5, 0.5]}, "process": {"kind": "bachelier"}, "maturity": 1},
        "features": [{"name": "spot", "lower": [0.5, 0.5], "upper": [1.5, 1.5], "unit": "currency"}],
        "outputs": {"value": "", "delta": "", "gamma": ""},
        "network": {"widths": [2, 3, 1], "activation": "silu", "parameters": 13, "nodes": 40},
        "accuracy": {"samples": 64, "value": SCORES, "delta": SCORES, "gamma": SCORES | {"parallel_r2": 0.9}},
        "certificate": None,
        "provenance": {"build": {"labels": {"replicates": 8}}, "seed": 1, "simulated_paths": 1024},
    }
    return plain | changes


def report(**changes: Any) -> dict[str, Any]:
    evaluation = {"samples": 64, "asked": 64}
    return {"reference": EXACT, "evaluation": evaluation, "noise_floor": {"value": 1e-4, "delta": 2e-4}} | changes


def test_the_figures_are_stated() -> None:
    text = card(manifest(), report())
    assert f"| gamma | {show_r2(SCORES['r2'])} | 1.00e-03 | 2.00e-03 |" in text
    assert "against an independent reference: closed form, relative error 1e-12." in text
    assert "1024\nsimulated paths" in text
    assert "from 8 replicates." in text
    assert "caling" not in text


def test_a_simulated_reference_shows_its_errors() -> None:
    text = judged(AGAIN | {"kind": "replicates"}, {"samples": 64, "asked": 64})
    assert "an independent reference: replicates" in text
    assert "5.4e-03 in value, 1.0e-03 in delta, 3.0e-02 in gamma" in text
    assert "R2 of 0.9999000 in value, 0.9990000 in delta, 0.9800000 in gamma" in text


def test_a_simulation_of_the_same_kind_is_not_called_independent() -> None:
    text = judged(AGAIN, {"samples": 64, "asked": 64})
    assert "which is not independent of the labels: resimulated (same simulator" in text
    assert "an independent reference" not in text
    assert "Measured on 64 points (4096 asked for) of the Box" in judged(EXACT, {"samples": 64, "asked": 4096})


@pytest.mark.parametrize(("replicates", "doubt"), [(2, "71 %"), (3, "50 %"), (4, None)])
def test_errors_from_few_replicates_are_doubted(replicates: int, doubt: str | None) -> None:
    made = manifest(provenance={"build": {"labels": {"replicates": replicates}}})
    text = label_errors(made, {"value": 1e-4})
    assert f"1.0e-04 in value; from {replicates} replicates" in text
    assert (doubt in text) if doubt else ("uncertain" not in text)


def test_errors_of_scaled_labels_are_not_those_of_the_price() -> None:
    scaled = manifest(reduction={"formula": "V = K h"})
    assert "labels of the simulated problem h" in label_errors(scaled, {"value": 1e-4})
    assert "Exact scaling, V = K h, leaves h to learn." in card(scaled, report())


def test_labels_that_all_replicates_agree_on_have_no_doubtful_errors() -> None:
    few = manifest(provenance={"build": {"labels": {"replicates": 2}}})
    text = label_errors(few, {"value": 0.0, "delta": 0.0})
    assert "the same labels" in text
    assert "uncertain" not in text


@pytest.mark.parametrize("floor", [None, {}])
def test_one_replicate_says_nothing_of_noise(floor: dict[str, float] | None) -> None:
    assert "not measured" in label_errors(manifest(), floor)


@pytest.mark.parametrize(
    ("payoff", "says_little"),
    [
        ({"weights": [1.0, -1.0]}, True),
        ({"option": {"weights": [1.0, -1.0]}}, True),
        ({"weights": [0.5, 0.5]}, False),
        ({"initial": [1.0, 1.0]}, False),
    ],
)
def test_the_parallel_gamma_of_a_spread_says_little(payoff: dict[str, Any], says_little: bool) -> None:
    text = gammas({"gamma": {"parallel_r2": -3.38}}, payoff)
    assert "R2 of -3.3800000" in text
    assert ("says little" in text) == says_little


@pytest.mark.parametrize(
    ("pair", "said"), [("volatility, volatility", "twice by volatility"), ("spot, rate", "by spot and rate")]
)
def test_the_worst_of_the_other_second_derivatives_is_named(pair: str, said: str) -> None:
    pairs = [
        {"pair": pair, "r2": 0.97, "perfect_r2": 0.99},
        {"pair": "spot, volatility", "r2": 0.999, "perfect_r2": None},
        {"pair": "rate, rate", "r2": None, "perfect_r2": None},
    ]
    text = gammas({"gamma": {"parallel_r2": None}, "second_order": pairs}, {})
    assert f"the other second derivatives (2) that {said} has the least R2, 0.9700000" in text
    assert "the truth would score 0.9900000" in text
    assert "1'H1 vanishes." in text


def test_second_derivatives_that_nobody_judged_are_named_as_such() -> None:
    assert "unjudged" in gammas({"gamma": {"parallel_r2": 1.0}, "second_order": []}, {})
    assert "judged" not in gammas({"gamma": {"parallel_r2": 1.0}}, {})


def test_a_gamma_that_no_reference_knows_is_not_vouched_for() -> None:
    unknown = dict.fromkeys([*SCORES, "frobenius_error", "parallel_r2"])
    accuracy = {"samples": 64, "value": SCORES, "delta": SCORES, "gamma": unknown, "second_order": []}
    text = card(manifest(accuracy=accuracy), report(reference=EXACT | {"unjudged": "gamma, which bridges miss"}))
    assert "| gamma | unjudged | - | - |" in text
    assert "nothing vouches for, what `gamma` returns.\nUnjudged are gamma, which bridges miss." in text
    assert text.count("njudged") == 2  # in the table, and in words
    assert "parallel gamma" not in text
    assert "unjudged" not in card(manifest(), report())


def test_bounds_have_their_errors() -> None:
    point = {"features": [100.0, 90.0], "low": 5.665, "low_error": 0.003, "exercise_probability": [0.25, 0.5]}
    text = bounds([point | {"high": 5.671, "high_error": 0.014}, point])
    assert "| 100, 90 | 5.665 ± 0.003 | 5.671 ± 0.014 | 0.750 |" in text
    assert "| 100, 90 | 5.665 ± 0.003 | - | 0.750 |" in text
    assert "chance of exercise" in card(manifest(), report(bounds=[point]))
    assert "chance of exercise" not in card(manifest(), report())


def test_what_is_proven_is_said_with_where() -> None:
    entry = {"statement": "value >= intrinsic", "tolerance": 1e-4, "share": 1.0, "smallest_tolerance": 2.5e-5}
    shape = [
        entry | {"proven": True},
        entry | {"statement": "convex", "proven": False, "share": 0.25, "smallest_tolerance": None},
    ]
    pruning = {"value": 0.01, "largest_delta": None, "seen": {"value": 0.002, "delta": None}}
    certificate = {"shape": shape, "pruning": pruning, "arithmetic": "exact, not of model.float32.onnx"}
    text = card(manifest(certificate=certificate), report())
    assert "Arithmetic: exact, not of model.float32.onnx." in text
    assert "| value >= intrinsic | 2.5e-05 | all |" in text
    assert "| convex | not proven | 25.0 % (estimate) |" in text
    assert "everywhere in the Box: the value within 0.01 (largest difference seen 2.0e-03)." in text
