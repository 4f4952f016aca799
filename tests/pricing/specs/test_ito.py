"""User-written coefficients: what is refused, how constants are parameters, and what the facts say of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.ito import MAXIMUM_CONSTANTS, MAXIMUM_TOTAL, ItoDiffusion
from pricing.specs.parameters import with_values
from pricing.specs.process import Process
from pricing.specs.variations import with_steps, with_volatilities
from tests.pricing.cases import CALL, NOTE, WRITTEN, feature, problem_of

PLAIN = {
    "kind": "ito_diffusion",
    "drifts": ["kappa * (theta - S)"],
    "diffusions": ["sigma"],
    "constants": {"theta": 100.0, "sigma": 20.0, "kappa": 2.0},
    "correlation": [[1.0]],
}
LONG = [" + ".join(f"{i}.{j} * S" for j in range(1, 80)) for i in range(20)]


@pytest.mark.parametrize(
    ("change", "message", "path"),
    [
        ({"drifts": ["kappa * (theta - X)"]}, r"drifts\[0\]: 'X' is no variable, function or constant", "drifts[0]"),
        ({"diffusions": ["sigma *"]}, r"diffusions\[0\]: got the end at character 8", "diffusions[0]"),
        ({"drifts": ["0"]}, "constants: 'kappa' is in no expression", "constants"),
        ({"constants": {"S": 1.0}}, "constants: 'S' means something already", "constants"),
        ({"constants": {"max": 1.0}}, "constants: 'max' means something already", "constants"),
        ({"constants": {"2x": 1.0}}, "constants: '2x' must be a name of letters", "constants"),
        ({"constants": {"x" * 33: 1.0}}, f"at most {MAXIMUM_CONSTANTS}", "constants"),
        ({"constants": {f"x{i}": 1.0 for i in range(33)}}, "give at most 32, got 33", "constants"),
        (
            {"constants": {"theta": float("nan"), "sigma": 1.0, "kappa": 1.0}},
            "constants.theta must be",
            "constants.theta",
        ),
        ({"constants": {"theta": "1"}}, "Expected `float`, got `str`", None),
        ({"drifts": []}, "give one of each per asset, 1 to 1000, got 0 drifts and 1 diffusions", "diffusions"),
        ({"drifts": [], "diffusions": []}, "got 0 drifts and 0 diffusions", "diffusions"),
        ({"drifts": [1.0]}, "Expected `str`, got `float`", "drifts[0]"),
        ({"dividend_yields": [0.01]}, "dividend_yields: the drifts say how levels grow", "dividend_yields"),
        ({"steps": 0}, r"steps must be in \[1, 4096\], got 0", "steps"),
        ({"correlation": [[1.0, 0.0], [0.0, 1.0]]}, "correlation must have 1 rows", "correlation"),
        ({"scheme": "heun"}, "Invalid enum value 'heun'", "scheme"),
        (
            {"drifts": LONG, "diffusions": ["sigma * kappa * theta"] * 20},
            f"different expressions may have {MAXIMUM_TOTAL} operations together",
            "diffusions",
        ),
    ],
)
def test_refusals(change: dict[str, Any], message: str, path: str | None) -> None:
    kinds: Any = Process
    assert load(kinds, PLAIN)
    with pytest.raises(InvalidSpec, match=message) as caught:
        load(kinds, {**PLAIN, **change})
    assert path is None or caught.value.fields["path"] == path


def test_constants_are_one_parameter_in_the_order_of_their_names() -> None:
    process = load(ItoDiffusion, PLAIN)
    assert process.parameters == {"constant": (2.0, 20.0, 100.0), "volatility_scale": (1.0,), "rate": (0.0,)}
    other = with_values(process, {"constant": (3.0, 10.0, 90.0)})
    assert other.constants == {"kappa": 3.0, "sigma": 10.0, "theta": 90.0}
    assert "constant" not in WRITTEN.parameters


def test_it_is_a_value() -> None:
    """Equal and hashed by its fields, and the same after writing and reading."""
    process = load(ItoDiffusion, PLAIN)
    assert load(ItoDiffusion, dump(process)) == process
    assert len({process, load(ItoDiffusion, PLAIN), replace(process, steps=8)}) == 2


@pytest.mark.parametrize(
    ("drift", "diffusion", "level_noise", "kinked"),
    [
        ("0", "20", False, False),
        ("r * (100 - S)", "20 * exp(-t)", False, False),
        ("max(t, 0.5) * S", "20", False, False),
        ("S^2", "20", True, False),
        ("0", "0.2 * S", True, False),
        ("max(S, 0)", "20", True, True),
        ("0", "0.2 * abs(S)", True, True),
    ],
)
def test_facts_follow_the_expressions(drift: str, diffusion: str, level_noise: bool, kinked: bool) -> None:
    facts = replace(WRITTEN, drifts=(drift,), diffusions=(diffusion,)).facts
    assert (facts.level_noise, facts.kinked, facts.carried) == (level_noise, kinked, False)


def test_volatilities_and_steps_of_it_are_multiplied() -> None:
    doubled = with_volatilities(WRITTEN, 2.0)
    assert isinstance(doubled, ItoDiffusion)
    assert doubled.diffusions == ("2.0 * (20 * (S / 100)^0.8)",)
    assert with_steps(WRITTEN, 2).facts.grid == 2 * (WRITTEN.facts.grid or 0)


def test_a_volatility_is_no_parameter_of_it() -> None:
    with pytest.raises(InvalidSpec, match="no parameter 'volatility'; choose from spot, maturity, volatility_scale, "):
        problem_of(WRITTEN, CALL, feature("volatility", 0.1, 0.3))


def test_payoffs_that_need_positive_levels_are_refused() -> None:
    with pytest.raises(
        InvalidSpec, match="'autocall' needs positive levels, which the levels of 'ito_diffusion' are not"
    ):
        problem_of(WRITTEN, NOTE)
