"""The numbers of a price answer as JSON bytes, part by part, so that parts can be made on several threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson

from app.errors import NonFiniteAnswer
from app.http.parsing import Query
from app.inference.answer import Answer, gamma_form
from pricing.types import BoolArray

# The longest float64 in JSON, -2.2250738585072014e-308, with its comma and the most brackets a number can have: 24 + 5.
NUMBER_BYTES = 29


def answer_bytes(query: Query, sizes: Mapping[str, int]) -> int:
    """An upper bound on the answer's size.

    Args:
        sizes: numbers that each output has a row.
    """
    rows: int = len(query.features)
    width: int = query.features.shape[1]
    gamma = {"full": width * width, "diagonal": width, "parallel": 1}[query.gamma]
    return rows * NUMBER_BYTES * sum(gamma if name == "gamma" else sizes[name] for name in query.outputs)


def encode(query: Query, answer: Answer, first: int) -> tuple[bytes, ...]:
    """The outputs asked for as JSON lists without their outer brackets; ``first`` is the part's first row.

    Raises:
        NonFiniteAnswer: names the first row that is not finite.
    """
    arrays = answer
    if query.gamma != "full" and "gamma" in query.outputs:
        arrays = answer | {"gamma": gamma_form(answer["gamma"], query.gamma)}
    parts = tuple(orjson.dumps(arrays[name], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for name in query.outputs)
    # NaN and infinity are spelt null, the only n there can be; one letter is searched for ten times faster than a word
    if any(b"n" in part for part in parts):
        found = [arrays[name] for name in query.outputs]
        finite = [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in found]
        row = first + int(np.argmin(np.all(finite, axis=0)))
        raise NonFiniteAnswer(
            f"row {row}: the surrogate is not finite there, far outside its Box", path=f"inputs[{row}]"
        )
    return parts


def assemble(
    name: str, version: int, query: Query, parts: Sequence[tuple[bytes, ...]], *, in_domain: BoolArray
) -> list[bytes]:
    """The whole answer as pieces to send in order: one if it is small, else those that were encoded, uncopied."""
    pieces = [f'{{"model":"{name}","version":{version}'.encode()]
    for i, key in enumerate(query.outputs):
        opening = b',"%b":[' % key.encode()
        for part in parts:
            pieces += opening, part[i]
            opening = b","
        pieces.append(b"]")
    pieces.append(b',"in_domain":%b}' % orjson.dumps(in_domain, option=orjson.OPT_SERIALIZE_NUMPY))
    return pieces if len(parts) > 1 else [b"".join(pieces)]
