from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, NonFiniteAnswer, NotJson, TooLarge
from app.http.price_json import (
    COUNTED_BYTES,
    EXPLAINED_BYTES,
    MOST_OUTPUTS,
    Query,
    answer_bytes,
    assemble,
    encode,
    parse,
)
from app.inference.derived import Further
from app.inference.predictor import DEFAULT_OUTPUTS, Answer, GammaForm, rows_of
from pricing.domain import Box, Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array

ROW = [1.0, 2.0, 3.0]
LONG_ROW = f"[{', '.join(['1'] * 3)}]"
ROWS, WIDTH = 7, 3
SIZES = {"value": 1, "delta": WIDTH, "gamma": WIDTH**2}

finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


def body(inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


@pytest.mark.parametrize(
    "sent",
    [
        b'{"inputs": [[' + b"1," * 1_000_000 + b"1]]}",
        b'{"inputs": {"spot": [[' + b"1," * 1_000_000 + b"1]]}}",
        b'{"inputs": [' + b"{}," * 400_000 + b"{}]}",
        b'{"inputs": ' + b"[" * 1_100_000,
        b'{"inputs": [[1, 2, 3]], "outputs": [' + b'"value",' * 200_000 + b'"value"]}',
        b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}",
    ],
)
def test_a_large_body_of_too_many_elements_is_not_parsed(box: Box, sent: bytes) -> None:
    with pytest.raises(TooLarge, match=r"the body has [0-9]+ (elements|lists), more than 100 rows of 3 features need"):
        parse(sent, box, max_rows=100)


def test_the_largest_body_is_read(box: Box) -> None:
    rows = [[1.2345678901234567e-100, -1.2345678901234567e-100, 3.0]] * 60_000
    assert len(body(rows)) > COUNTED_BYTES
    assert parse(body(rows), box, max_rows=60_000).features.shape == (60_000, 3)


@pytest.mark.parametrize("outputs", [["value", "value"], ["value"] * 1000])
def test_an_output_is_asked_for_once(box: Box, outputs: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="one of them twice"):
        parse(body([ROW], outputs=outputs), box, max_rows=1)


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=20))
def test_rows_and_columns_are_read_exactly(box: Box, rows: list[list[float]]) -> None:
    expected = np.array([[float(number) for number in row] for row in rows])
    assert (parse(body(rows), box, max_rows=20).features == expected).all()
    columns = {"volatility": [row[2] for row in rows], "spot": [row[:2] for row in rows]}
    assert (parse(body(columns), box, max_rows=20).features == expected).all()


def test_defaults_and_choices(box: Box) -> None:
    query = parse(body([ROW]), box, max_rows=1)
    assert (tuple(query.outputs), query.gamma, query.outside) == (("value", "delta", "gamma"), "full", "error")
    query = parse(body([ROW], outputs=["gamma", "value"], gamma="parallel", outside="flag"), box, max_rows=1)
    assert (tuple(query.outputs), query.gamma, query.outside) == (("value", "gamma"), "parallel", "flag")


@pytest.mark.parametrize(
    ("inputs", "path", "sentence"),
    [
        ([ROW, [1.0, 2.0]], "inputs[1]", r"3 numbers \(spot\[0\], spot\[1\], volatility\), got 2"),
        ([ROW, [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]], "inputs[1]", "got 2"),
        ([[1.0, 2.0, 3.0, 4.0]], "inputs[0]", "got 4"),
        ([[]], "inputs[0]", "got 0"),
        ([ROW, [1.0, None, 3.0]], "inputs[1][1]", "a number, got null"),
        ([[1.0, True, 3.0]], "inputs[0][1]", "a number, got true"),
        ([[1.0, "2", 3.0]], "inputs[0][1]", "a number, got '2'"),
        ([[1.0, [2.0], 3.0]], "inputs[0][1]", "a number, got a list"),
        ([[1.0, {}, 3.0]], "inputs[0][1]", "a number, got an object"),
        ([[[1.0, 2.0, 3.0]]], "inputs[0][0]", "a number, got a list"),
        ([[[], [], [], 1.0, 2.0, 3.0]], "inputs[0][0]", "a number, got a list"),
        (ROW, "inputs[0]", "a list of 3 numbers"),
        ([1.0, [2.0, 3.0]], "inputs[0]", "a list of 3 numbers"),
        ([1.0, [[2.0]], 3.0], "inputs[0]", "a list of 3 numbers"),
        ([ROW, "123"], "inputs[1]", "got '123'"),
        ([], "inputs", "at least one row"),
        (5, "inputs", "a list of rows"),
        (None, "inputs", "a list of rows"),
        ("[[1, 2, 3]]", "inputs", "a list of rows"),
        ([[1.0, 10**20, 3.0]], "inputs[0][1]", "with an exponent"),
        ([[1.0, 10**400, 3.0]], "inputs[0][1]", "with an exponent"),
        ([[1.0, float("nan"), 3.0]], "inputs[0][1]", "must be finite"),
        ([ROW, [1.0, 2.0, float("inf")]], "inputs[1][2]", "must be finite"),
        ([[-float("inf"), 2.0, 3.0]], "inputs[0][0]", "must be finite"),
        ({"spot": [[1.0, 2.0]]}, "inputs.volatility", "lacks volatility"),
        (
            {"spot": [[1.0, 2.0]], "volatility": [0.1], "rate": [0.0]},
            "inputs.rate",
            "no key 'rate'; the keys are spot, vol",
        ),
        ({"spot": [[1.0, 2.0]], "volatility": [0.1, 0.2]}, "inputs", "same number of rows, got spot 1, volatility 2"),
        ({"spot": [[1.0, 2.0]], "volatility": [[0.1]]}, "inputs.volatility[0]", "a number, got a list"),
        ({"spot": [1.0, 2.0], "volatility": [0.1]}, "inputs.spot[0]", r"2 numbers \(spot\[0\], spot\[1\]\), got 1.0"),
        ({"spot": [[1.0, 2.0]], "volatility": 0.1}, "inputs.volatility", "a list of numbers"),
        ({"spot": [], "volatility": []}, "inputs", "at least one row"),
        ({}, "inputs.spot", "lacks spot, volatility"),
    ],
)
def test_a_wrong_shape_is_refused_by_its_place(box: Box, inputs: Any, path: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        parse(body(inputs), box, max_rows=100)
    assert caught.value.fields["path"] == path


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"outputs": []}, "outputs"),
        ({"outputs": ["vega"]}, "outputs"),
        ({"outputs": "value"}, "outputs"),
        ({"outputs": [["value"]]}, "outputs"),
        ({"outputs": [None]}, "outputs"),
        ({"gamma": "half"}, "gamma"),
        ({"gamma": None}, "gamma"),
        ({"gamma": ["full"]}, "gamma"),
        ({"outside": True}, "outside"),
        ({"version": 1}, "version"),
    ],
)
def test_other_keys_are_checked(box: Box, more: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body([ROW], **more), box, max_rows=100)
    assert caught.value.fields["path"] == path


@pytest.mark.parametrize("text", ["[[1, 2, 3]]", "5", '"inputs"', "null", '{"outputs": ["value"]}'])
def test_the_body_must_be_an_object_with_inputs(box: Box, text: str) -> None:
    with pytest.raises(InvalidRequest, match="inputs"):
        parse(text.encode(), box, max_rows=100)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"inputs": [[1, 2, 3]]} x', b"\xff\xfe", b"[" * 100_000, b'{"inputs": [[01, 2, 3]]}', b"1" * 5000],
)
def test_what_is_not_json_is_refused(box: Box, text: bytes) -> None:
    with pytest.raises(NotJson, match="not valid JSON"):
        parse(text, box, max_rows=100)


@pytest.mark.parametrize("text", ["1e400", "-1e400", "NaN", "Infinity"])
def test_numbers_that_json_does_not_have_are_named(box: Box, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"inputs\[1\]\[2\] must be finite"):
        parse(f'{{"inputs": [[1, 2, 3], [1, 2, {text}]]}}'.encode(), box, max_rows=100)
    rows = ",".join([LONG_ROW] * (EXPLAINED_BYTES // len(LONG_ROW)))
    with pytest.raises(NotJson):  # too large to be read twice
        parse(f'{{"inputs": [{rows}, [1, 2, {text}]]}}'.encode(), box, max_rows=1 << 20)


def test_a_key_may_not_come_twice(box: Box) -> None:
    """Two readers of such a body would see two requests."""
    with pytest.raises(InvalidRequest, match="twice"):
        parse(b'{"inputs": [[1, 2, 3]], "inputs": [[4, 5, 6]]}', box, max_rows=100)
    with pytest.raises(InvalidRequest, match="twice"):
        parse(b'{"inputs": {"spot": [[1, 2]], "volatility": [1], "spot": [[3, 4]]}}', box, max_rows=100)


def test_rows_are_limited(box: Box) -> None:
    assert len(parse(body([ROW] * 3), box, max_rows=3).features) == 3
    with pytest.raises(TooLarge, match="4 rows, the limit is 3") as caught:
        parse(body([ROW] * 4), box, max_rows=3)
    assert caught.value.fields["bound"] == 3


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


FURTHER = Further(
    box=Box(
        features=(
            Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5)),
            Feature(name="maturity", lower=(0.1,), upper=(2.0,)),
        )
    ),
    outputs=DEFAULT_OUTPUTS,
    problem=PricingProblem(
        process=Bachelier(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0))),
        payoff=Call(weights=(0.5, 0.5), strike=1.0),
        maturity=1.0,
        features=(
            Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5)),
            Feature(name="maturity", lower=(0.1,), upper=(2.0,)),
        ),
    ),
    value_error=1e-3,
)


def derived_query(*outputs: str) -> Query:
    rows = [[1.0, 1.0, 1.0]] * ROWS
    return parse(body(rows, outputs=[*outputs]), FURTHER.box, max_rows=ROWS, known=DEFAULT_OUTPUTS, find=FURTHER.find)


def test_what_is_made_of_outputs_comes_after_them_as_asked(answer: Answer) -> None:
    asked = derived_query("implied_volatility", "gamma", "charm", "gamma.maturity.spot")
    assert tuple(asked.outputs) == ("gamma",)
    decoded = decode(asked, answer | {"value": np.full(ROWS, 0.1)}, 2, 3)
    implied = ["implied_volatility", "implied_volatility_error", "implied_volatility_reason"]
    keys = ["gamma", *implied, "charm", "gamma.maturity.spot", "units", "in_domain"]
    assert list(decoded) == ["model", "version", *keys]
    np.testing.assert_array_equal(decoded["charm"], -answer["gamma"][:, :2, 2])
    np.testing.assert_array_equal(decoded["gamma.maturity.spot"], answer["gamma"][:, 2, :2])
    assert len({*decoded["implied_volatility"]}) == 1
    assert decoded["implied_volatility_reason"] == [None] * ROWS


def test_an_implied_volatility_may_be_missing_and_numbers_may_not(answer: Answer) -> None:
    value = np.linspace(-0.1, 0.5, ROWS)
    decoded = decode(derived_query("implied_volatility"), answer | {"value": value})
    reasons = decoded["implied_volatility_reason"]
    assert reasons[0] == "value at or below intrinsic"
    assert [one is None for one in decoded["implied_volatility"]] == [reason is not None for reason in reasons]
    for bad in (np.nan, np.inf):
        spoiled = answer | {"value": np.where(np.arange(ROWS) == 2, bad, value)}
        with pytest.raises(NonFiniteAnswer, match="row 12:"):
            encode(derived_query("implied_volatility"), spoiled, 10)
        gamma = answer["gamma"].copy()
        gamma[3, 0, 2] = bad
        with pytest.raises(NonFiniteAnswer, match="row 3:"):
            encode(derived_query("charm"), answer | {"gamma": gamma}, 0)


def test_the_estimate_bounds_what_is_made_too() -> None:
    asked = derived_query("charm", "gamma.spot.spot", "implied_volatility")
    longest = everywhere(-2.2250738585072014e-308, WIDTH) | {"value": np.full(ROWS, -1.0)}
    size = answer_bytes(asked, SIZES)
    assert sum(map(len, encode(asked, longest, 0))) <= size
    assert size == ROWS * 29 * (2 + 4 + 4)


def test_so_many_outputs_in_one_request() -> None:
    names = [f"gamma.{one}.{other}" for one in ("spot", "maturity") for other in ("spot", "maturity")]
    assert [one.name for one in derived_query(*names).derived] == names
    with pytest.raises(InvalidRequest, match="ask for at most 67, or for gamma") as caught:
        derived_query(*(f"gamma.spot.x{i}" for i in range(100)))
    assert caught.value.fields["bound"] == MOST_OUTPUTS + len(DEFAULT_OUTPUTS)
    with pytest.raises(InvalidRequest, match="one of them twice"):
        derived_query("charm", "charm")
    with pytest.raises(InvalidRequest, match="choose from value, delta, gamma, charm, implied_volatility and gamma"):
        derived_query("x" * 1_000)
