from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.encoding import answer_bytes, assemble, encode, gamma_form
from app.errors import NonFiniteAnswer
from app.parsing import OUTPUTS, Query
from app.predictor import Answer
from app.schemas import GammaForm
from pricing.types import Array

ROWS, WIDTH = 7, 3


@pytest.fixture
def answer() -> Answer:
    generator = np.random.default_rng(0)
    return Answer(
        np.exp(generator.uniform(-700.0, 700.0, ROWS)),
        generator.normal(size=(ROWS, WIDTH)),
        generator.normal(size=(ROWS, WIDTH, WIDTH)),
    )


def query(gamma: GammaForm = "full") -> Query:
    return Query(np.zeros((ROWS, WIDTH)), OUTPUTS, gamma, "error")


def decode(query: Query, answer: Answer, *cuts: int) -> dict[str, Any]:
    """The answer made in parts that end at ``cuts``."""
    edges = [0, *cuts, ROWS]
    parts = [encode(query, answer.rows(slice(a, b)), a) for a, b in pairwise(edges)]
    pieces = assemble("basket", 3, query, parts, in_domain=np.ones(ROWS, dtype=np.bool_))
    decoded: dict[str, Any] = json.loads(b"".join(pieces))
    return decoded


def test_numbers_come_back_bit_for_bit(answer: Answer) -> None:
    decoded = decode(query(), answer)
    assert list(decoded) == ["model", "version", "value", "delta", "gamma", "in_domain"]
    assert (decoded["model"], decoded["version"], decoded["in_domain"]) == ("basket", 3, [True] * ROWS)
    for name in OUTPUTS:
        assert (np.array(decoded[name]) == getattr(answer, name)).all()


@pytest.mark.parametrize("gamma", ["full", "diagonal", "parallel"])
def test_parts_join_to_the_whole(answer: Answer, gamma: GammaForm) -> None:
    assert decode(query(gamma), answer, 1, 4) == decode(query(gamma), answer)


def test_gamma_forms(answer: Answer) -> None:
    ones = np.ones(WIDTH)
    assert (gamma_form(answer.gamma, "diagonal") == [np.diag(hessian) for hessian in answer.gamma]).all()
    np.testing.assert_allclose(
        gamma_form(answer.gamma, "parallel"), [ones @ h @ ones for h in answer.gamma], rtol=1e-13
    )


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("gamma", ["full", "diagonal", "parallel"])
def test_the_estimate_bounds_the_answer(gamma: GammaForm, width: int) -> None:
    one = Query(np.zeros((ROWS, width)), OUTPUTS, gamma, "error")
    longest = Answer(*(np.full((ROWS, width, width)[:axes], -2.2250738585072014e-308) for axes in (1, 2, 3)))
    assert 0.8 * answer_bytes(one) < sum(map(len, encode(one, longest, 0))) <= answer_bytes(one)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_nan_or_infinity_leaves(answer: Answer, bad: float) -> None:
    def spoil(array: Array) -> Array:
        copy = array.copy()
        copy[2].flat[-1] = bad
        return copy

    value = answer.value.copy()
    value[2] = bad
    spoiled = [
        Answer(value, answer.delta, answer.gamma),
        Answer(answer.value, spoil(answer.delta), answer.gamma),
        Answer(answer.value, answer.delta, spoil(answer.gamma)),
    ]
    for one in spoiled:
        with pytest.raises(NonFiniteAnswer, match="row 12:"):
            encode(query("parallel"), one, 10)


def test_a_sum_that_overflows_is_refused() -> None:
    huge = Answer(*(np.full((ROWS, WIDTH, WIDTH)[:axes], 1e308) for axes in (1, 2, 3)))
    with pytest.raises(NonFiniteAnswer, match="row 0:"):
        encode(query("parallel"), huge, 0)
