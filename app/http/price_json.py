"""The JSON of a price: a request straight into one matrix of features, arrays straight into an answer.

No number of either becomes a Python object. Every number of a request is read once, and the shape is proven by
counting: each row has the right length, the buffer holds rows x columns numbers, and the body has no opening bracket
beyond those of the rows. Whatever fails that is handed to `app.http.price_errors`, which walks to the first element
that is wrong. An answer is made part by part, so that parts can be made on several threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, NamedTuple, NoReturn, TypeVar, cast, get_args

import numpy as np
import orjson
import simdjson

from app.errors import InvalidRequest, NonFiniteAnswer, NotJson, TooLarge
from app.http.price_errors import SHOWN, find_fault, shown
from app.http.schemas import Outside
from app.inference.derived import Derived
from app.inference.predictor import DEFAULT_OUTPUTS, Answer, GammaForm, first_infinite, gamma_form
from pricing.domain import Box
from pricing.types import Array, BoolArray

KEYS = ("inputs", "outputs", "gamma", "outside")
GAMMA_FORMS: tuple[GammaForm, ...] = get_args(GammaForm)
# Names of outputs in one request, beside those of a graph: more would be a matrix of all features.
MOST_OUTPUTS = 64
OUTSIDES: tuple[Outside, ...] = get_args(Outside)
# Bodies up to this size are read a second time, slowly, to name the NaN that made them unreadable.
EXPLAINED_BYTES = 1 << 20
# Larger bodies are counted before they are parsed, which holds the interpreter for a quarter of a second at 16 MB of
# single digits; a request has some commas and brackets more than its rows and numbers.
COUNTED_BYTES, SPARE = 1 << 20, 100
# The longest float64 in JSON, -2.2250738585072014e-308, with its comma and the most brackets a number can have: 24 + 5.
NUMBER_BYTES = 29

Word = TypeVar("Word", bound=str)


class Query(NamedTuple):
    """A parsed price request.

    Args:
        outputs: of the graph.
        derived: what is made of them, answered after them.

    Shape: features (batch, feature), finite.
    """

    features: Array
    outputs: Sequence[str]
    gamma: GammaForm
    outside: Outside
    derived: Sequence[Derived] = ()


def parse(
    body: bytes,
    box: Box,
    *,
    max_rows: int,
    known: Collection[str] = DEFAULT_OUTPUTS,
    find: Callable[[str], Derived] | None = None,
) -> Query:
    """The query that a JSON body states.

    Args:
        known: the outputs that the model's graph has, in the order of an answer.
        find: what is made of them by name, or a refusal; None where nothing is.

    Raises:
        NotJson: the body is not JSON; a NaN or infinity in ``inputs`` is named as InvalidRequest instead.
        InvalidRequest: names the path of whatever is wrong.
        TooLarge: more rows than ``max_rows``.
    """
    _require_size(body, box, max_rows)
    try:
        document = simdjson.Parser().parse(body)
    except (ValueError, RuntimeError) as error:  # the latter for an integer beyond 64 bits
        _explain_unreadable(body, box, error)
    if not isinstance(document, simdjson.Object):
        raise InvalidRequest(f"the body must be an object with the key 'inputs', got {shown(document)}", path="")
    keys = _some(document, KEYS)
    _check_keys("the body", keys, KEYS)
    asked = {key: document[key] for key in keys}  # for a missing key simdjson's own object throws inside, slowly
    if "inputs" not in asked:
        raise InvalidRequest("inputs is missing: give rows of features", path="inputs")
    gamma, outside = _choice(asked, "gamma", GAMMA_FORMS), _choice(asked, "outside", OUTSIDES)
    outputs, derived, brackets = _outputs(asked, known, find)
    inputs = asked["inputs"]
    try:
        features, opened = _features(inputs, box, max_rows)
        if body.count(b"[") != brackets + opened:
            raise TypeError("lists within rows")
    except TypeError:
        find_fault(inputs, box)
        raise
    return Query(features, outputs, gamma, outside, derived)


def answer_bytes(query: Query, sizes: Mapping[str, int]) -> int:
    """An upper bound on the answer's size.

    Args:
        sizes: numbers that each output has a row.
    """
    rows: int = len(query.features)
    width: int = query.features.shape[1]
    gamma = {"full": width * width, "diagonal": width, "parallel": 1}[query.gamma]
    numbers = sum(gamma if name == "gamma" else sizes[name] for name in query.outputs)
    return rows * NUMBER_BYTES * (numbers + sum(one.size for one in query.derived))


def encode(query: Query, answer: Answer, first: int) -> tuple[bytes, ...]:
    """The outputs asked for as JSON lists without their outer brackets; ``first`` is the part's first row.

    Shape: answer as `app.inference.predictor.Answer`, of some of the query's rows.

    Raises:
        NonFiniteAnswer: names the first row that is not finite.
    """
    arrays = answer
    if query.gamma != "full" and "gamma" in query.outputs:
        arrays = answer | {"gamma": gamma_form(answer["gamma"], query.gamma)}
    encoded = [orjson.dumps(arrays[name], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for name in query.outputs]
    # NaN and infinity are spelt null, the only n there can be; one letter is searched for ten times faster than a word
    if [output for output in encoded if b"n" in output]:
        _refuse_infinite([arrays[name] for name in query.outputs], first)
    return (*encoded, *_encode_derived(query, answer, first)) if query.derived else tuple(encoded)


def _encode_derived(query: Query, answer: Answer, first: int) -> list[bytes]:
    """The parts of what is made of the outputs; null where a row may have none."""
    encoded = []
    for one in query.derived:
        source = answer[one.source]
        _refuse_infinite([source], first)
        with np.errstate(over="ignore"):
            made = one.make(source, query.features[first : first + len(source)])
        if not one.partial:
            _refuse_infinite([np.asarray(made[key]) for key in one.keys], first)
        encoded += [orjson.dumps(made[key], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for key in one.keys]
    return encoded


def _refuse_infinite(arrays: Sequence[Array], first: int) -> None:
    """Raise NonFiniteAnswer for the first row that is not finite everywhere. Shape: batch, and what each has."""
    if (row := first_infinite(arrays)) is not None:
        row += first
        raise NonFiniteAnswer(
            f"row {row}: the surrogate is not finite there, far outside its Box", path=f"inputs[{row}]"
        )


def assemble(
    name: str, version: int, query: Query, parts: Sequence[tuple[bytes, ...]], *, in_domain: BoolArray
) -> list[bytes]:
    """The whole answer as pieces to send in order: one if it is small, else those that were encoded, uncopied.

    Shape: in_domain batch.
    """
    pieces = [f'{{"model":"{name}","version":{version}'.encode()]
    keys = query.outputs if not query.derived else [*query.outputs, *(key for one in query.derived for key in one.keys)]
    for i, key in enumerate(keys):
        opening = b',"%b":[' % key.encode()
        for part in parts:
            pieces += opening, part[i]
            opening = b","
        pieces.append(b"]")
    if query.derived:
        pieces.append(b',"units":%b' % orjson.dumps({one.name: one.unit for one in query.derived}))
    pieces.append(b',"in_domain":%b}' % orjson.dumps(in_domain, option=orjson.OPT_SERIALIZE_NUMPY))
    return pieces if len(parts) > 1 else [b"".join(pieces)]


def _require_size(body: bytes, box: Box, max_rows: int) -> None:
    """Raise TooLarge for more numbers or lists than the largest request has, before they hold up everybody else."""
    if len(body) < COUNTED_BYTES:
        return
    numbers, lists = max_rows * (box.dimension + 1), max_rows + box.dimension
    for what, letter, bound in (("elements", b",", numbers), ("lists", b"[", lists)):
        if (count := body.count(letter)) > bound + SPARE:
            raise TooLarge(
                f"the body has {count} {what}, more than {max_rows} rows of {box.dimension} features need; split it",
                path="inputs",
                bound=max_rows,
            )


def _some(table: Iterable[str], known: Sequence[str]) -> list[str]:
    """Names of an object: enough of them that an unknown or repeated one is among them, if there is one."""
    return list(islice(table, len(known) + 1))


def _check_keys(where: str, keys: Sequence[str], known: Sequence[str], *, prefix: str = "") -> None:
    for key in keys:
        if key not in known:
            raise InvalidRequest(
                f"{where} has no key {shown(key)}; the keys are {', '.join(known)}", path=prefix + key[:SHOWN]
            )
    if len(set(keys)) < len(keys):
        raise InvalidRequest(f"{where} must not have a key twice", path="")


def _choice(asked: Mapping[str, Any], key: str, allowed: tuple[Word, ...]) -> Word:
    """The value of ``key``, by default the first allowed word."""
    value = asked.get(key, allowed[0])
    for word in allowed:
        if value == word:
            return word
    raise InvalidRequest(f"{key} must be one of {', '.join(allowed)}, got {shown(value)}", path=key)


def _outputs(
    asked: Mapping[str, Any], known: Collection[str], find: Callable[[str], Derived] | None
) -> tuple[Sequence[str], Sequence[Derived], int]:
    """The outputs asked for, in our order, what is made of them as asked, and the opening brackets that this took."""
    if "outputs" not in asked:
        return DEFAULT_OUTPUTS, (), 0
    given, most = asked["outputs"], len(known) + (0 if find is None else MOST_OUTPUTS)
    names = list(islice(given, most + 1)) if isinstance(given, simdjson.Array) else [None]
    wrong = [name for name in names if not isinstance(name, str) or (find is None and name not in known)]
    if wrong or not names or len(set(names)) < len(names):
        got = shown(wrong[0]) if wrong else "one of them twice" if names else "none"
        raise InvalidRequest(f"outputs must be a list of one or more of {', '.join(known)}, got {got}", path="outputs")
    if len(names) > most:
        raise InvalidRequest(f"outputs: ask for at most {most}, or for gamma", path="outputs", bound=most)
    further = [name for name in names if isinstance(name, str) and name not in known]
    derived = () if find is None else tuple(find(name) for name in further)
    return tuple(name for name in known if name in names), derived, 1


def _features(inputs: Any, box: Box, max_rows: int) -> tuple[Array, int]:
    """The features matrix and the opening brackets that it took."""
    if isinstance(inputs, simdjson.Object):
        names = [feature.name for feature in box.features]
        _check_keys("inputs", _some(inputs, names), names, prefix="inputs.")
        if missing := [name for name in names if name not in inputs]:
            raise InvalidRequest(f"inputs lacks {', '.join(missing)}", path=f"inputs.{missing[0]}")
        blocks = [_block(inputs[f.name], f.size, flat=f.size == 1, max_rows=max_rows) for f in box.features]
        if len({len(block) for block, _ in blocks}) > 1:
            counts = ", ".join(f"{name} {len(block)}" for name, (block, _) in zip(names, blocks, strict=True))
            raise InvalidRequest(f"all features need the same number of rows, got {counts}", path="inputs")
        return np.concatenate([block for block, _ in blocks], axis=1), sum(opened for _, opened in blocks)
    return _block(inputs, box.dimension, flat=False, max_rows=max_rows)


def _block(values: Any, width: int, *, flat: bool, max_rows: int) -> tuple[Array, int]:
    """A list of numbers (``flat``) or of rows of ``width`` numbers, and its opening brackets. Shape: -> batch width.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(values, simdjson.Array):
        raise TypeError("not a list")
    rows = len(values)
    if rows == 0:
        raise InvalidRequest("inputs must have at least one row, got none", path="inputs")
    if rows > max_rows:
        raise TooLarge(
            f"inputs has {rows} rows, the limit is {max_rows} a request; split it", path="inputs", bound=max_rows
        )
    if not (flat or set(map(len, cast(Iterable[Sized], values))) == {width}):
        raise TypeError("ragged rows")
    numbers: Array = np.frombuffer(values.as_buffer(of_type="d"))
    if len(numbers) != rows * width:
        raise TypeError("lists within rows")
    return numbers.reshape(rows, width), 1 if flat else 1 + rows


def _explain_unreadable(body: bytes, box: Box, error: Exception) -> NoReturn:
    """Name a NaN, Infinity or 1e400, which Python's slow reader takes and JSON does not have."""
    document = _read_slowly(body) if len(body) <= EXPLAINED_BYTES else None
    if isinstance(document, dict) and "inputs" in document:
        find_fault(document["inputs"], box)
    raise NotJson(f"the body is not valid JSON: {error}") from error


def _read_slowly(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None  # unreadable either way, as the caller goes on to say
