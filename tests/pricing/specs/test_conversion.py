from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from surrogate.spec import TrainingSpec


@pytest.fixture
def plain(seven: PricingProblem) -> dict[str, Any]:
    return dump(seven)


def refusal(kind: type, data: object) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        load(kind, data)
    return caught.value


def test_a_field_within_a_struct_that_checks_itself(plain: dict[str, Any]) -> None:
    plain["process"]["volatilities"] = [-0.2, *plain["process"]["volatilities"][1:]]
    error = refusal(PricingProblem, plain)
    assert error.fields == {"path": "process.volatilities[0]", "bound": 0.0}
    assert "must be >= 0" in str(error)
    assert str(error).endswith("at `process.volatilities[0]`")


def test_the_top_level_itself(plain: dict[str, Any]) -> None:
    assert refusal(PricingProblem, plain | {"maturity": -1.0}).fields == {"path": "maturity", "bound": 0.0}
    assert "at `the top level`" in str(refusal(PricingProblem, 3))


@pytest.mark.parametrize(
    ("changes", "path", "choices"),
    [
        (
            {"estimator": {"kind": "smooth"}},
            "estimator.kind",
            ["auto", "bridge", "conditional", "frozen", "likelihood_ratio", "pathwise", "smoothed", "survival"],
        ),
        (
            {"estimator": {"kind": "smoothed", "kernel": "cubic"}},
            "estimator.kernel",
            ["average", "gaussian", "logistic", "silu", "softplus"],
        ),
        ({"draws": {"source": "halton"}}, "draws.source", ["antithetic", "pseudo", "sobol"]),
        ({"direction_law": "axes"}, "direction_law", ["pca", "random"]),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(changes: dict[str, Any], path: str, choices: list[str]) -> None:
    error = refusal(LabelSpec, changes)
    assert error.fields["path"] == path
    bound = error.fields["bound"]
    assert isinstance(bound, list)
    assert sorted(bound) == choices
    assert all(word in str(error) for word in choices)


def test_the_processes_are_named(plain: dict[str, Any]) -> None:
    plain["process"]["kind"] = "levy"
    told = str(refusal(PricingProblem, plain))
    assert all(kind in told.split("choose one of")[1] for kind in ("bachelier", "black_scholes", "heston", "merton"))


def test_words_within_lists() -> None:
    error = refusal(TrainingSpec, {"optimisers": [{"kind": "lbfgs"}, {"kind": "adam", "schedule": "step"}]})
    assert "choose one of" in str(error)
    assert "one_cycle" in str(error)
    error = refusal(TrainingSpec, {"optimisers": [{"kind": "sgd"}]})
    assert "levenberg_marquardt" in str(error)


def test_a_wrong_type_has_no_choices() -> None:
    error = refusal(LabelSpec, {"samples": "many"})
    assert error.fields == {"path": "samples"}
    assert "Expected `int`, got `str`" in str(error)


@pytest.mark.parametrize(
    ("changes", "path", "known"),
    [
        ({"sample": 1}, "", list(LabelSpec.__struct_fields__)),
        ({"draws": {"pilots": 1}}, "draws", ["source", "rotation", "sharing", "pilot"]),
        ({"estimator": {"kind": "frozen", "steps": 1}}, "estimator", ["kind", "degree", "paths", "width"]),
        ({"sampler": {"kind": "uniform", "bound": 1.0}}, "sampler", ["kind"]),
    ],
)
def test_an_unknown_field_is_answered_with_the_known_ones(changes: dict[str, Any], path: str, known: list[str]) -> None:
    error = refusal(LabelSpec, changes)
    assert error.fields == {"path": path, "bound": known}
    assert f"the fields are {', '.join(known)}" in str(error)


def test_fields_of_a_table_in_a_list(plain: dict[str, Any]) -> None:
    plain["features"] = [plain["features"][0], {"name": "strike", "low": [1.0], "upper": [2.0]}]
    error = refusal(PricingProblem, plain)
    assert error.fields == {"path": "features[1]", "bound": ["name", "lower", "upper", "unit"]}


def test_a_number_out_of_range_is_not_answered_with_words() -> None:
    error = refusal(TrainingSpec, {"ridge": -1.0})
    assert str(error) == "ridge must be in [0, 1000], got -1.0 - at `ridge`"
    assert error.fields == {"path": "ridge", "bound": [0.0, 1e3]}
