from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem


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
            ["average", "gaussian", "silu", "softplus"],
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
    assert "choose one of bachelier, black_scholes, heston, local_volatility" in str(refusal(PricingProblem, plain))


def test_words_within_lists() -> None:
    from surrogate.spec import TrainingSpec

    error = refusal(TrainingSpec, {"optimisers": [{"kind": "lbfgs"}, {"kind": "adam", "schedule": "step"}]})
    assert "choose one of" in str(error)
    assert "one_cycle" in str(error)
    error = refusal(TrainingSpec, {"optimisers": [{"kind": "sgd"}]})
    assert "levenberg_marquardt" in str(error)


def test_a_wrong_type_has_no_choices() -> None:
    error = refusal(LabelSpec, {"samples": "many"})
    assert error.fields == {"path": "samples"}
    assert "Expected `int`, got `str`" in str(error)
