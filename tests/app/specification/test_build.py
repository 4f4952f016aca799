from __future__ import annotations

from typing import Any

import pytest

from app.specification.build import BuildSpec, require_points
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load

VALUES_ONLY = {"order": 0}
RANDOM = {"method": "magnitude", "sparsity": 0.5}


def test_round_trip(tiny: dict[str, Any]) -> None:
    spec = load(BuildSpec, tiny)
    assert load(BuildSpec, dump(spec)) == spec


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a.b", "x" * 65, "jobs.sqlite"])
def test_a_name_is_a_safe_folder(tiny: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidSpec, match="name must be"):
        load(BuildSpec, tiny | {"name": name})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"training": {"loss": {"order": 1}}}, "training.loss needs labels of order 1"),
        (
            {"training": {"loss": {"order": 0}}, "network": {"inputs": "differential_pca"}},
            "network.inputs needs labels of order 1",
        ),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"rows": "sobolev"}},
            "pruning.rows needs labels of order 1",
        ),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"fine_tuning": {"loss": {"order": 2}}}},
            "pruning.fine_tuning.loss needs labels of order 2",
        ),
    ],
)
def test_losses_need_their_labels_before_any_work(tiny: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    labels = tiny["labels"] | VALUES_ONLY
    with pytest.raises(InvalidSpec, match=field):
        load(BuildSpec, tiny | {"labels": labels} | changes)


def test_maturities_around_a_dividend_are_refused(tiny: dict[str, Any]) -> None:
    spots, maturity = ({"name": name, "lower": [0.5], "upper": [1.5]} for name in ("spot", "maturity"))
    process = {"kind": "black_scholes", "volatilities": [0.2], "correlation": [[1.0]], "dividends": []}
    problem: dict[str, Any] = {"process": process, "payoff": {"kind": "call", "weights": [1.0], "strike": 1.0}}
    problem |= {"maturity": 1.0, "features": [spots, maturity]}
    load(BuildSpec, tiny | {"problem": problem})
    process["dividends"] = [{"time": 0.75, "proportion": 0.1}]
    with pytest.raises(InvalidSpec, match=r"process.dividends\[0\] at 0.75 years.* build one model up to") as caught:
        load(BuildSpec, tiny | {"problem": problem})
    assert caught.value.fields["path"] == "problem.features[1].upper"


def test_a_variance_that_stays_at_zero_is_refused_with_curvature(tiny: dict[str, Any]) -> None:
    features = [{"name": name, "lower": [0.0], "upper": [1.5]} for name in ("spot", "long_variance")]
    process = {"kind": "heston", "initial_variances": [0.04], "mean_reversions": [1.5], "long_variances": [0.04]}
    process |= {"variance_volatilities": [0.5], "spot_variance_correlations": [-0.7], "correlation": [[1.0]]}
    payoff = {"kind": "call", "weights": [1.0], "strike": 1.0}
    tiny |= {"problem": {"process": process, "payoff": payoff, "maturity": 1.0, "features": features}}
    load(BuildSpec, tiny | {"labels": tiny["labels"] | {"order": 1}})
    with pytest.raises(InvalidSpec, match=r"long_variance must be > 0 for order = 2 .* or use order = 1") as caught:
        load(BuildSpec, tiny | {"labels": tiny["labels"] | {"order": 2}})
    assert caught.value.fields["path"] == "problem.features[1].lower[0]"


def test_a_network_too_large_for_its_optimiser_is_refused_before_any_work(tiny: dict[str, Any]) -> None:
    large = {"hidden": [64, 64]}
    with pytest.raises(InvalidSpec, match="this network has 4417; use lbfgs or adam"):
        load(BuildSpec, tiny | {"network": large})
    training = {"optimisers": [{"kind": "lbfgs"}]}
    assert load(BuildSpec, tiny | {"network": large, "training": training}).network.parameters(2) == 4417


@pytest.mark.parametrize(
    ("accuracy", "place", "said"),
    [
        ({}, "evaluation.samples", "32 points are judged and accuracy requires 64 .* or give accuracy.points"),
        (
            {"points": 48},
            "accuracy.points",
            "32 points are judged and accuracy requires 48 .* or lower accuracy.points",
        ),
    ],
)
def test_points_that_would_never_suffice_are_refused(
    tiny: dict[str, Any], accuracy: dict[str, int], place: str, said: str
) -> None:
    few = tiny | {"evaluation": {"samples": 32}, "accuracy": accuracy}
    with pytest.raises(InvalidSpec, match=said) as caught:
        require_points(load(BuildSpec, few))
    assert caught.value.fields["path"] == place
    for more in ({"publish_anyway": True}, {"accuracy": {"points": 32}}, {"evaluation": {"samples": 64}}):
        require_points(load(BuildSpec, few | more))


def test_a_single_word_is_given_or_left_out(tiny: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec, match="give 'none' or leave it out - at `control`"):
        load(BuildSpec, tiny | {"control": "lognormal"})
