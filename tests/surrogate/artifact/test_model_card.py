"""The card says what was measured, against what, and how sure of it anybody may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pricing.domain import Feature
from pricing.specs.european import Call, WorstOf
from pricing.specs.payoff import Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.artifact.manifest import Manifest
from surrogate.artifact.model_card import bounds, gammas, judged, label_errors, model_card
from surrogate.artifact.sentences import show_r2
from surrogate.report.report import AnyReport, EvaluationFacts, plain_accuracy
from surrogate.report.scores import Accuracy, OutputScore, PairScore, ReferenceQuality
from surrogate.report.sources import ExerciseBounds

EXACT = ReferenceQuality(kind="closed form", relative_error=1e-12, perfect_r2={})
AGAIN = ReferenceQuality(
    kind="resimulated (same simulator and estimator, other seed and steps)",
    relative_error=2e-3,
    value_error=5.4e-3,
    delta_error=1e-3,
    gamma_error=3e-2,
    perfect_r2={"value": 0.9999, "delta": 0.999, "gamma": 0.98},
)
FEW = EvaluationFacts(samples=64, asked=64, points="in the Box")
R2 = 0.9987654
PROBLEM = PricingProblem(
    process=Bachelier(volatilities=(0.2, 0.2), correlation=((1.0, 0.0), (0.0, 1.0))),
    payoff=Call(weights=(0.5, 0.5), strike=1.0),
    maturity=1.0,
    features=(Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5)),),
)

Manifests = Callable[..., Manifest]
Reports = Callable[..., AnyReport]


def card(manifest: Manifest, report: AnyReport) -> str:
    return model_card(manifest, report, PROBLEM)


def of_gamma(parallel: float | None, pairs: tuple[PairScore, ...] | None = None) -> Accuracy:
    """Scores of gamma, and of other second derivatives."""
    gamma = OutputScore(rmse=1.0, max_error=1.0, r2=0.5, frobenius_error=1.0, parallel_r2=parallel)
    return Accuracy(samples=1, outputs={"gamma": gamma}, buckets=(), second_order=pairs)


def test_a_pruning_run_is_told_with_its_warning(manifest: Manifests, report: Reports) -> None:
    pruning = {
        "method": "snip",
        "granularity": "weights",
        "sparsity": 0.3,
        "parameters": {"before": 13, "after": 12, "compact": 11},
        "widths": {"before": [2, 3, 1], "after": [2, 3, 1]},
        "inputs_removed": [],
        "bound": None,
        "stages": [],
    }
    assert "Pruned by" not in card(manifest(), report(pruning=pruning))
    passed = [
        {"network": "pre_prune", "parameters": 13, "loss": 0.5, "value_rmse": 0.25},
        {"network": "final", "parameters": 12, "loss": None, "value_rmse": 0.125},
    ]
    said = {"milestones": passed, "warning": "these are trained", "unread": ["ridge", "draws"]}
    text = card(manifest(), report(pruning=pruning | said))
    assert "Pruned by `snip` from 13 to 12 parameters, 11 without what is dead." in text
    assert "| before pruning | 13 | 5.00e-01 | 2.50e-01 |\n| final | 12 | not finite | 1.25e-01 |\n\n" in text
    assert "Given, but not read by `snip`: `ridge`, `draws`.\n\nWarning: these are trained.\n\n" in text


def test_the_figures_are_stated(manifest: Manifests, report: Reports) -> None:
    text = card(manifest(), report())
    assert f"| gamma | {show_r2(R2)} | - | 1.00e-03 | 2.00e-03 | - | - |" in text
    assert "Nothing was proven of the shape.\n" in text
    assert "against an independent reference: closed form, relative error 1e-12." in text
    assert "1024\nsimulated paths" in text
    assert "from 8 replicates." in text
    assert "caling" not in text


def test_a_simulated_reference_shows_its_errors() -> None:
    text = judged(msgspec.structs.replace(AGAIN, kind="replicates"), FEW)
    assert "an independent reference: replicates" in text
    assert "5.4e-03 in value, 1.0e-03 in delta, 3.0e-02 in gamma" in text
    assert "R2 of 0.9999000 in value, 0.9990000 in delta, 0.9800000 in gamma" in text


def test_a_simulation_of_the_same_kind_is_not_called_independent() -> None:
    text = judged(AGAIN, FEW)
    assert "which is not independent of the labels: resimulated (same simulator" in text
    assert "an independent reference" not in text
    assert "Measured on 64 points of the Box (a reason) against" in judged(
        EXACT, msgspec.structs.replace(FEW, reason="a reason")
    )


def test_fewer_points_than_asked_for_are_warned_of_beside_the_figures(manifest: Manifests, report: Reports) -> None:
    asked = {"samples": 64, "asked": 4096, "seconds": 30.0, "points": "in the Box"}
    text = card(manifest(), report(evaluation=asked))
    assert "Warning: judged on 64 of the 4096 points asked for, as the budget of 30 s was over." in text
    assert "arning" not in card(manifest(), report())


def test_noise_bounds_and_offsets_stand_beside_the_errors(manifest: Manifests, report: Reports) -> None:
    said = {"unexplained": 4e-10, "bounds": [{"share": 0.99, "error": 3e-3}]}
    constant = {"offset": {"mean": 1e-3, "standard_error": 1e-5, "share": 0.9}}
    accuracy = plain_accuracy(manifest().accuracy)
    told = {name: part | said | constant if isinstance(part, dict) else part for name, part in accuracy.items()}
    text = card(manifest(accuracy=told), report(noise_floor={"gamma": 5e-4}))
    assert "| 4.0e-10 | 1.00e-03 | 2.00e-03 | 99.0 % < 3.0e-03 | 5.00e-04 |" in text
    assert "Gamma has a constant offset of 1.0e-03 ± 1e-05, 90 % of its mean square error" in text


def learnt_from(replicates: int) -> dict[str, Any]:
    return {"build": {"labels": {"replicates": replicates}}, "seed": 1, "simulated_paths": 1024}


@pytest.mark.parametrize(("replicates", "doubt"), [(2, "71 %"), (3, "50 %"), (4, None)])
def test_errors_from_few_replicates_are_doubted(replicates: int, doubt: str | None, manifest: Manifests) -> None:
    made = manifest(provenance=learnt_from(replicates))
    text = label_errors(made, {"value": 1e-4})
    assert f"1.0e-04 in value; from {replicates} replicates" in text
    assert (doubt in text) if doubt else ("uncertain" not in text)


def test_errors_of_scaled_labels_are_not_those_of_the_price(manifest: Manifests, report: Reports) -> None:
    scaled = manifest(reduction={"formula": "V = K h", "simulated": {}, "inputs": []})
    assert "labels of the simulated problem h" in label_errors(scaled, {"value": 1e-4})
    assert "Exact scaling, V = K h, leaves h to learn." in card(scaled, report())


def test_labels_that_all_replicates_agree_on_have_no_doubtful_errors(manifest: Manifests) -> None:
    few = manifest(provenance=learnt_from(2))
    text = label_errors(few, {"value": 0.0, "delta": 0.0})
    assert "the same labels" in text
    assert "uncertain" not in text


@pytest.mark.parametrize("floor", [None, {}])
def test_one_replicate_says_nothing_of_noise(floor: dict[str, float] | None, manifest: Manifests) -> None:
    assert "not measured" in label_errors(manifest(), floor)


@pytest.mark.parametrize(
    ("payoff", "says_little"),
    [
        (Call(weights=(1.0, -1.0), strike=0.1), True),
        (Bermudan(option=Call(weights=(1.0, -1.0), strike=0.1), dates=(0.5, 1.0)), True),
        (Call(weights=(0.5, 0.5), strike=1.0), False),
        (WorstOf(initial=(1.0, 1.0), strike=1.0), False),
    ],
)
def test_the_parallel_gamma_of_a_spread_says_little(payoff: Payoff, says_little: bool) -> None:
    text = gammas(of_gamma(-3.38), payoff)
    assert "R2 of -3.3800000" in text
    assert ("says little" in text) == says_little


@pytest.mark.parametrize(
    ("pair", "said"), [("volatility, volatility", "twice by volatility"), ("spot, rate", "by spot and rate")]
)
def test_the_worst_of_the_other_second_derivatives_is_named(pair: str, said: str) -> None:
    pairs = (
        PairScore(pair=pair, r2=0.97, perfect_r2=0.99, rmse=1.0, max_error=1.0),
        PairScore(pair="spot, volatility", r2=0.999, perfect_r2=None, rmse=1.0, max_error=1.0),
        PairScore(pair="rate, rate", r2=None, perfect_r2=None, rmse=1.0, max_error=1.0),
    )
    text = gammas(of_gamma(None, pairs), PROBLEM.payoff)
    assert f"the other second derivatives (2) that {said} has the least R2, 0.9700000" in text
    assert "the truth would score 0.9900000" in text
    assert "1'H1 vanishes." in text


def test_second_derivatives_that_nobody_judged_are_named_as_such() -> None:
    assert "unjudged" in gammas(of_gamma(1.0, ()), PROBLEM.payoff)
    assert "judged" not in gammas(of_gamma(1.0), PROBLEM.payoff)


def test_a_gamma_that_no_reference_knows_is_not_vouched_for(manifest: Manifests, report: Reports) -> None:
    score = {"r2": R2, "rmse": 1e-3, "max_error": 2e-3}
    unknown = dict.fromkeys([*score, "frobenius_error", "parallel_r2"])
    accuracy = {"samples": 64, "value": score, "delta": score, "gamma": unknown, "buckets": [], "second_order": []}
    reference = {"kind": "closed form", "relative_error": 1e-12, "unjudged": "gamma, which bridges miss"}
    text = card(manifest(accuracy=accuracy), report(reference=reference))
    assert "| gamma | unjudged | - | - |" in text
    assert "nothing vouches for, what `gamma` returns.\nUnjudged are gamma, which bridges miss." in text
    assert text.count("njudged") == 2  # in the table, and in words
    assert "parallel gamma" not in text
    assert "unjudged" not in card(manifest(), report())


def test_bounds_have_their_errors(manifest: Manifests, report: Reports) -> None:
    point = {"features": [100.0, 90.0], "low": 5.665, "low_error": 0.003, "exercise_probability": [0.25, 0.5]}
    text = bounds(msgspec.convert([point | {"high": 5.671, "high_error": 0.014}, point], tuple[ExerciseBounds, ...]))
    assert "| 100, 90 | 5.665 ± 0.003 | 5.671 ± 0.014 | 0.750 |" in text
    assert "| 100, 90 | 5.665 ± 0.003 | - | 0.750 |" in text
    assert "chance of exercise" in card(manifest(), report(bounds=[point]))
    assert "chance of exercise" not in card(manifest(), report())


def test_what_is_proven_is_said_with_where(manifest: Manifests, report: Reports) -> None:
    entry: dict[str, Any] = {
        "statement": "value >= intrinsic",
        "tolerance": 1e-4,
        "scale": 1.0,
        "share": 1.0,
        "share_is": "whole Box",
        "smallest_tolerance": 2.5e-5,
        "sub_boxes": 3,
    }
    shape = [
        entry | {"proven": True},
        entry | {"statement": "convex", "proven": False, "share": 0.25, "smallest_tolerance": None},
    ]
    seen = {"value": 0.002, "delta": None}
    pruning = {"value": 0.01, "delta": None, "largest_delta": None, "seen": seen, "method": "", "sub_boxes": 3}
    certificate = {"shape": shape, "pruning": pruning, "arithmetic": "exact, not of model.float32.onnx"}
    text = card(manifest(certificate=certificate), report())
    assert "Arithmetic: exact, not of model.float32.onnx." in text
    assert "| value >= intrinsic | 2.5e-05 | all |" in text
    assert "| convex | not proven | 25.0 % (estimate) |" in text
    assert "everywhere in the Box: the value within 0.01 (largest difference seen 2.0e-03)." in text
