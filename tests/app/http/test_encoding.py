from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.errors import NonFiniteAnswer
from app.http.encoding import answer_bytes, assemble, encode
from app.http.parsing import Query
from app.inference.answer import DEFAULT_OUTPUTS, Answer, GammaForm, gamma_form, rows_of
from pricing.types import Array

ROWS, WIDTH = 7, 3
SIZES = {"value": 1, "delta": WIDTH, "gamma": WIDTH**2}


@pytest.fixture
def answer() -> Answer:
    generator = np.random.default_rng(0)
    return {
        "value": np.exp(generator.uniform(-700.0, 700.0, ROWS)),
        "delta": generator.normal(size=(ROWS, WIDTH)),
        "gamma": generator.normal(size=(ROWS, WIDTH, WIDTH)),
    }


def query(gamma: GammaForm = "full") -> Query:
    return Query(np.zeros((ROWS, WIDTH)), DEFAULT_OUTPUTS, gamma, "error")


def everywhere(number: float, width: int) -> Answer:
    return {name: np.full((ROWS, width, width)[:axes], number) for axes, name in enumerate(DEFAULT_OUTPUTS, start=1)}


def decode(query: Query, answer: Answer, *cuts: int) -> dict[str, Any]:
    """The answer made in parts that end at ``cuts``."""
    edges = [0, *cuts, ROWS]
    parts = [encode(query, rows_of(answer, slice(a, b)), a) for a, b in pairwise(edges)]
    pieces = assemble("basket", 3, query, parts, in_domain=np.ones(ROWS, dtype=np.bool_))
    decoded: dict[str, Any] = json.loads(b"".join(pieces))
    return decoded


def test_numbers_come_back_bit_for_bit(answer: Answer) -> None:
    decoded = decode(query(), answer)
    assert list(decoded) == ["model", "version", "value", "delta", "gamma", "in_domain"]
    assert (decoded["model"], decoded["version"], decoded["in_domain"]) == ("basket", 3, [True] * ROWS)
    for name in DEFAULT_OUTPUTS:
        assert (np.array(decoded[name]) == answer[name]).all()


@pytest.mark.parametrize("gamma", ["full", "diagonal", "parallel"])
def test_parts_join_to_the_whole(answer: Answer, gamma: GammaForm) -> None:
    assert decode(query(gamma), answer, 1, 4) == decode(query(gamma), answer)


def test_gamma_forms(answer: Answer) -> None:
    ones = np.ones(WIDTH)
    assert (gamma_form(answer["gamma"], "diagonal") == [np.diag(hessian) for hessian in answer["gamma"]]).all()
    np.testing.assert_allclose(
        gamma_form(answer["gamma"], "parallel"), [ones @ h @ ones for h in answer["gamma"]], rtol=1e-13
    )


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("gamma", ["full", "diagonal", "parallel"])
def test_the_estimate_bounds_the_answer(gamma: GammaForm, width: int) -> None:
    one = Query(np.zeros((ROWS, width)), DEFAULT_OUTPUTS, gamma, "error")
    longest = everywhere(-2.2250738585072014e-308, width)
    size = answer_bytes(one, SIZES | {"delta": width})
    assert 0.8 * size < sum(map(len, encode(one, longest, 0))) <= size


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_nan_or_infinity_leaves(answer: Answer, bad: float) -> None:
    def spoil(array: Array) -> Array:
        copy = array.copy()
        copy[2].flat[-1] = bad
        return copy

    value = answer["value"].copy()
    value[2] = bad
    spoiled = [
        answer | {"value": value},
        answer | {"delta": spoil(answer["delta"])},
        answer | {"gamma": spoil(answer["gamma"])},
    ]
    for one in spoiled:
        with pytest.raises(NonFiniteAnswer, match="row 12:"):
            encode(query("parallel"), one, 10)


def test_a_sum_that_overflows_is_refused() -> None:
    huge = everywhere(1e308, WIDTH)
    with pytest.raises(NonFiniteAnswer, match="row 0:"):
        encode(query("parallel"), huge, 0)


def test_named_greeks_are_answered_and_bounded(answer: Answer) -> None:
    asked = Query(np.zeros((ROWS, WIDTH)), ("value", "vega", "theta"), "full", "error")
    more = answer | {"vega": np.full((ROWS, 2), -1e-300), "theta": np.arange(ROWS) + 0.5}
    pieces = assemble("basket", 3, asked, [encode(asked, more, 0)], in_domain=np.ones(ROWS, dtype=np.bool_))
    decoded = json.loads(b"".join(pieces))
    assert list(decoded) == ["model", "version", "value", "vega", "theta", "in_domain"]
    assert decoded["theta"] == [i + 0.5 for i in range(ROWS)]
    assert np.shape(decoded["vega"]) == (ROWS, 2)
    size = answer_bytes(asked, SIZES | {"vega": 2, "theta": 1})
    assert sum(map(len, encode(asked, more, 0))) <= size == ROWS * 4 * answer_bytes(asked, dict.fromkeys(more, 1)) // 21
    with pytest.raises(NonFiniteAnswer, match="row 0:"):
        encode(asked, more | {"vega": np.full((ROWS, 2), np.nan)}, 0)
