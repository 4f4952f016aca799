from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.process import Bachelier


def test_changes_make_the_specification_of_the_next_version(tiny_build: BuildSpec) -> None:
    changes = {
        "problem.process": {"rate": 0.03, "convention": "carry"},
        "problem.features.spot.upper": [2.0, 2.0],
        "labels": {"samples": 64},
    }
    changed = load(RetrainJobSpec, {"model": "tiny", "changes": changes}).changed(tiny_build)
    process = changed.pricing.process
    assert isinstance(process, Bachelier)
    assert process == replace(tiny_build.pricing.process, rate=0.03, convention="carry")
    assert changed.box.upper.tolist() == [2.0, 2.0]
    assert changed.labels == replace(tiny_build.labels, samples=64)
    assert (changed.network, changed.seed, changed.name) == (tiny_build.network, tiny_build.seed, tiny_build.name)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"problem.process.rte": 0.03}, "changes.problem.process", "unknown field `rte`; the fields are"),
        ({"problem.process.volatilities": [-0.2, 0.3]}, "changes.problem.process.volatilities[0]", "must be >= 0"),
        (
            {"problem.process.kind": "heston"},
            "changes.problem.process",
            "problem.process is of another kind than it was",
        ),
        ({"problem.features.strike.upper": [1.2]}, "changes.problem.features", "it has spot"),
        (
            {"problem.features.spot.upper": [0.1, 2.0]},
            "changes.problem.features[0].lower[0]",
            "need finite lower < upper",
        ),
        ({"training.loss.order": 2, "labels.order": 1}, "changes.training.loss", "raise that one"),
        ({"seed": "one"}, "changes.seed", "Expected `int`"),
    ],
    ids=str,
)
def test_what_makes_no_specification_is_refused_by_its_path(
    changes: dict[str, Any], path: str, words: str, tiny_build: BuildSpec
) -> None:
    job = load(RetrainJobSpec, {"model": "tiny", "changes": changes})
    with pytest.raises(InvalidSpec, match=words) as refused:
        job.changed(tiny_build)
    assert refused.value.fields["path"] == path


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"changes": {"name": "other"}}, "changes.name"),
        ({"model": "../up"}, "model"),
        ({"start": "cold"}, "start"),
        ({"changes": [1]}, "changes"),
        ({"changes": {"labels": {"sampler": {"kind": "table", "table": "/etc/passwd"}}}}, "labels.sampler.table"),
    ],
    ids=str,
)
def test_a_retrain_job_names_a_version_and_changes(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        load(RetrainJobSpec, {"model": "tiny"} | given)
    assert refused.value.fields["path"] == path


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"seed": float("nan")}, "changes.seed", "must be finite, got nan"),
        ({"problem": {"features": [{"upper": float("inf")}]}}, "changes.problem.features[0].upper", "got inf"),
        (
            {"problem.process.rate": date(2026, 1, 2)},
            "changes.problem.process.rate",
            "must be a number, a text, a list or a table, got",
        ),
    ],
)
def test_what_no_file_of_a_job_can_hold_is_refused(changes: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as caught:
        load(RetrainJobSpec, {"model": "tiny", "changes": changes})
    assert caught.value.fields["path"] == path
