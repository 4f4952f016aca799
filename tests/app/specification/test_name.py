from __future__ import annotations

import pytest

from app.specification.name import require_name, split_reference
from pricing.errors import InvalidSpec


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("tiny", ("tiny", "champion")), ("tiny@3", ("tiny", "3")), ("tiny@latest", ("tiny", "latest"))],
)
def test_a_reference_is_a_name_and_a_version(reference: str, expected: tuple[str, str]) -> None:
    assert split_reference(reference) == expected


@pytest.mark.parametrize("reference", ["", "@3", "tiny@"])
def test_half_a_reference_is_none(reference: str) -> None:
    with pytest.raises(InvalidSpec, match="write MODEL or MODEL@VERSION, got"):
        split_reference(reference)


@pytest.mark.parametrize("name", ["../up", "Tiny", "a" * 65, "-tiny"])
def test_a_name_is_no_path(name: str) -> None:
    for refuse in (require_name, split_reference):
        with pytest.raises(InvalidSpec, match="must be 1 to 64 of a-z") as refused:
            refuse(name, "labels.model")
        assert refused.value.fields["path"] == "labels.model"
