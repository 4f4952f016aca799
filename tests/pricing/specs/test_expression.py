"""Expressions: what the grammar says, refusals that name the place, and no text that takes long or gets past it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pricing.errors import InvalidSpec
from pricing.specs.evaluation import evaluate
from pricing.specs.expression import (
    FUNCTIONS,
    MAXIMUM_LENGTH,
    MAXIMUM_NESTING,
    MAXIMUM_OPERATIONS,
    VARIABLES,
    Expression,
    parse,
)

# A refusal or an expression, of any text that is not refused for its length, on a loaded machine.
PATIENCE = 2.0
WORDS = [*FUNCTIONS, *VARIABLES, "k", "1", "2.5", ".5", "1e-3", "+", "-", "*", "/", "^", "**", "(", ")", ",", " "]


def number(text: str, **names: float) -> float:
    at = {name: np.float64(value) for name, value in {"S": 3.0, "t": 0.5, "r": 0.02, **names}.items()}
    with np.errstate(all="ignore"):
        return float(evaluate(parse(text, name="drifts[0]"), at, np.float64, library=np).value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * S", 7.0),
        ("-S^2", -9.0),
        ("(-S)^2", 9.0),
        ("2^3^2", 512.0),
        ("2**-1", 0.5),
        ("2^-S", 0.125),
        ("8 / 2 / 2", 2.0),
        ("1 - 2 - 3", -4.0),
        ("--S", 3.0),
        ("+-+S", -3.0),
        ("1e-3 * .5 + 2.", 2.0005),
        ("max(1, S, 2) - min(4, S)", 0.0),
        ("abs(-S) + sqrt(4) + exp(0) + log(1) + tanh(0)", 6.0),
        ("k * (S - t) + r", 5.02),
        ("0^0.5", 0.0),
        ("0^t", 0.0),
    ],
)
def test_precedence_and_functions(text: str, expected: float) -> None:
    assert number(text, k=2.0) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"drifts\[0\]: got the end at character 1 of '', where a number, a name, a function or '\(' should be"),
        ("S +", "got the end at character 4"),
        ("S S", "got 'S' at character 3 .* where an operator or the end should be"),
        ("2S", "got 'S' at character 2"),
        ("sigma * (S", r"got the end at character 11 .*where an operator, ',' or '\)' should be"),
        ("S)", r"got '\)' at character 2"),
        ("S % 2", "got '% 2' at character 3"),
        ("\u03c3 * S", "at character 1"),
        ("__import__('os').system('ls')", r"got \"\('os'\)"),
        ("S.real", "got '.real' at character 2"),
        ("S[0]", r"got '\[0\]' at character 2"),
        ("lambda: S", "got ': S' at character 7"),
        ("exp", r"where '\(' after exp should be"),
        ("exp()", r"got '\)' at character 5"),
        ("exp(S, S)", "exp takes 1 arguments, got 2 at character 1"),
        ("1 + max(S)", "max takes 2 or more arguments, got 1 at character 5"),
        ("sin(S)", r"got '\(S\)' at character 4"),
        ("1e999", "the number 1e999 at character 1 is too large for float64"),
        ("S+" * 5000 + "S", f"may have {MAXIMUM_LENGTH} characters, got 10001"),
        ("(" * 33 + "S" + ")" * 33, f"may stand {MAXIMUM_NESTING} deep, and are deeper at character 34"),
        ("^".join("2" * 40), f"may stand {MAXIMUM_NESTING} deep"),
        ("+".join(f"{i}*S" for i in range(200)), f"may have {MAXIMUM_OPERATIONS} different operations"),
    ],
)
def test_refusals_name_field_and_place(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        parse(text, name="drifts[0]")
    assert caught.value.fields["path"] == "drifts[0]"


def test_signs_in_a_row_are_no_nesting() -> None:
    assert number("-" * 1001 + "S") == -3.0


def test_equal_parts_are_one_operation() -> None:
    written = parse("(S - 1) * (S - 1) + exp(S - 1)", name="drifts[0]")
    assert written.parts == ("S", "1", "S - 1", "(S - 1) * (S - 1)", "exp(S - 1)", "(S - 1) * (S - 1) + exp(S - 1)")


@pytest.mark.parametrize(
    ("text", "degree", "kinked"),
    [
        ("k * exp(-t)", 0.0, False),
        ("k * (2 - S)", 1.0, False),
        ("-S / k", 1.0, False),
        ("S * S^2", 3.0, False),
        ("S^0", 0.0, False),
        ("k / S", np.inf, False),
        ("S^-1", np.inf, False),
        ("S^k", np.inf, False),
        ("S^0.5", np.inf, False),
        ("max(t, 1) * S", 1.0, False),
        ("abs(S)", np.inf, True),
        ("sqrt(min(S, 1))", np.inf, True),
    ],
)
def test_what_is_known_of_its_dependence_on_the_level(text: str, degree: float, kinked: bool) -> None:
    written = parse(text, name="drifts[0]")
    assert (written.degree, written.kinked) == (degree, kinked)


def expression(text: str) -> Expression | None:
    """The expression; None where it is refused about its field."""
    try:
        return parse(text, name="drifts[0]")
    except InvalidSpec as error:
        if not str(error).startswith("drifts[0]: "):
            raise
        return None


@given(some.text(max_size=200) | some.lists(some.sampled_from(WORDS), max_size=300).map("".join))
def test_any_text_is_an_expression_or_refused_at_once(text: str) -> None:
    begun = time.perf_counter()
    written = expression(text)
    if written is not None:
        assert len(written.operations) <= MAXIMUM_OPERATIONS
        at = {name: np.float64(0.7) for name in written.names}
        with np.errstate(all="ignore"):
            evaluate(written, at, np.float64, library=np)
    assert time.perf_counter() - begun < PATIENCE


@pytest.mark.parametrize(
    "text", ["(" * 2000, "-" * 2000, "S+" * 999 + "S", "2^" * 999, "max(" * 500, "1" * 2000, "." * 2000]
)
def test_the_longest_texts_take_no_time(text: str) -> None:
    begun = time.perf_counter()
    expression(text)
    assert time.perf_counter() - begun < PATIENCE
