from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from msgspec import inspect

from app.specification.page import kind, page
from app.specification.toml_files import read_build_spec
from pricing.specs.parameters import PARAMETERS
from surrogate.spec import TrainingSpec

ROOT = Path(__file__).parents[3]
PROBLEMS = [path for path in sorted((ROOT / "examples").glob("*.toml")) if "problem" in tomllib.loads(path.read_text())]


def test_the_page_is_what_the_docstrings_say() -> None:
    assert (ROOT / "docs" / "specification.md").read_text() == page(), (
        "sobolite schema --markdown > docs/specification.md"
    )


def test_every_parameter_that_may_be_a_feature_is_on_the_page() -> None:
    assert set(PARAMETERS) == {name for path in PROBLEMS for name in read_build_spec(path).pricing.sizes}


def test_every_table_has_one_section_and_every_field_one_line() -> None:
    lines = page().splitlines()
    headings = [line for line in lines if line.startswith("##")]
    assert len(headings) == len(set(headings))
    assert '### `labels.estimator`, kind = "bridge"' in headings
    (tolerance,) = (line for line in lines if line.startswith("| `tolerance` |"))
    assert tolerance.count("|") == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (float, "number"),
        (tuple[int, ...], "list of integers"),
        (str | None, "text"),
        (tuple[tuple[float, ...], ...], "list of lists of numbers"),
        (TrainingSpec, "table `training`"),
    ],
)
def test_types_are_told_in_words(given: type, words: str) -> None:
    assert kind(inspect.type_info(given), {TrainingSpec: "training"}) == words


def test_what_no_specification_holds_is_not_told() -> None:
    with pytest.raises(TypeError, match="is in no specification"):
        kind(inspect.type_info(set[str]), {})
