from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from app.pipeline.build import build
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from surrogate.runtime import open_session

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_builds_and_its_file_answers_in_its_box(example: Path, tmp_path: Path) -> None:
    spec = smoke(read_build_spec(example))
    made = build(spec, tmp_path)
    assert made.manifest.name == spec.name == example.stem.replace("_", "-")
    session = open_session(made.model)
    lower, upper = (
        np.concatenate([getattr(feature, bound) for feature in made.manifest.features]) for bound in ("lower", "upper")
    )
    points = lower + (upper - lower) * np.random.default_rng(0).random((64, len(lower)))
    for answer in session.run(None, {"features": points}):
        assert np.isfinite(answer).all()


def test_a_smoke_build_keeps_what_it_is_about() -> None:
    spec = read_build_spec(EXAMPLES[0])
    small = smoke(spec)
    assert (small.problem, small.network, small.seed) == (spec.problem, spec.network, spec.seed)
    assert small.labels.samples <= 64
    assert smoke(small) == small


def test_a_smoke_build_holds_out_no_more_than_it_has() -> None:
    spec = read_build_spec(EXAMPLES[0])
    more = replace(spec, labels=replace(spec.labels, held_out=spec.labels.samples))
    assert smoke(more).labels.held_out == smoke(more).labels.samples
    assert smoke(spec).labels.held_out is UNSET
