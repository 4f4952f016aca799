from __future__ import annotations

import pytest

from app.errors import AppError, UnsupportedBody
from app.http.control import read_document, require_json


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"a": 1, "a": 2}', "names each field once, got 'a' again"),
        (b"[NaN]", "must be finite, got NaN"),
        (b"{", "not valid JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"1" * 30, "got one of 30 digits"),
        (b'{"a": {"b": 1e999}}', "a.b must be finite"),
    ],
)
def test_what_json_has_not_is_named(body: bytes, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        read_document(body)
    assert read_document(b'{"a": [1, 2.5, null, "\xe2\x82\xac"]}') == {"a": [1, 2.5, None, "€"]}


def test_json_is_said_to_be_json() -> None:
    for kind in (b"application/json", b"Application/JSON; charset=utf-8"):
        require_json({"headers": [(b"content-type", kind)]})
    with pytest.raises(UnsupportedBody, match="Content-Type: application/json"):
        require_json({"headers": [(b"content-type", b"text/plain")]})
