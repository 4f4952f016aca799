"""Where random numbers may come from."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.draws import path_sets, stream
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.draws import Draws
from pricing.specs.labels import LabelSpec
from tests.pricing.cases import changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("draws.pilot", 3, "pilot must be a power of two"),
        ("draws", {"sharing": "shifted", "source": "pseudo"}, "needs source = 'sobol'"),
    ],
)
def test_draws_that_make_no_sense(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(LabelSpec, changed(dump(LabelSpec()), path, value))


def test_replacing_a_field_checks_it_too() -> None:
    with pytest.raises(InvalidSpec, match="pilot"):
        replace(Draws(), pilot=0)


@pytest.mark.parametrize("source", ["pseudo", "antithetic", "sobol"])
@pytest.mark.parametrize("sharing", ["common", "shifted", "independent"])
def test_whatever_is_taken_gives_every_sample_its_normals(source: str, sharing: str) -> None:
    """One set for all where they share it, else one a sample; a shift needs the Sobol set that it moves."""
    plain = {"source": source, "sharing": sharing}
    if sharing == "shifted" and source != "sobol":
        with pytest.raises(InvalidSpec, match=f"needs source = 'sobol', got {source!r}"):
            load(Draws, plain)
        return
    paths = path_sets(load(Draws, plain), 8, 3, generator=stream("paths", seed=1))
    assert paths(5).shape == (1 if sharing == "common" else 5, 8, 3)
