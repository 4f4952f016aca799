from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.pipeline import grow as module
from app.pipeline.facts import TrainOrder
from app.pipeline.folder import JobFolder
from app.pipeline.grow import grow, stalled
from app.specification import choices
from app.specification.build import BuildSpec
from app.specification.choices import GAIN, PATIENCE, WIDE
from pricing.specs.base import load
from surrogate.learning.training import silent
from surrogate.report.choices import Round
from surrogate.spec import Adam

CALL = """
name = "call"
seed = 2

[problem]
maturity = 0.5
process = { kind = "black_scholes", volatilities = [0.25], correlation = [[1.0]] }
payoff = { kind = "call", weights = [1.0], strike = 100.0 }
features = [{ name = "spot", lower = [60.0], upper = [150.0] }]
"""


def begin(folder: Path, plain: dict[str, Any]) -> JobFolder:
    job = JobFolder(folder)
    job.begin(TrainOrder(spec=load(BuildSpec, plain)))
    return job


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> JobFolder:
    """A build that has chosen."""
    job = begin(tmp_path_factory.mktemp("grown"), tomllib.loads(CALL))
    grow(job, silent)
    return job


def test_the_steps_after_it_find_what_was_chosen(done: JobFolder) -> None:
    chosen = done.chosen.read()
    assert done.build() == chosen.build
    assert not chosen.build.chooses
    assert chosen.choices.rounds[chosen.choices.taken].samples == chosen.build.labels.samples
    assert all(file.path.exists() for file in (done.labels, done.label_facts, done.unseen, done.trained, done.training))
    assert not list(done.path.glob("round_*"))


def test_every_round_says_why_and_how_good_it_was(done: JobFolder) -> None:
    chosen = done.chosen.read()
    assert all(each.reason for each in chosen.choices.rounds)
    assert chosen.choices.ended
    best = chosen.choices.rounds[chosen.choices.taken]
    assert set(best.errors) == {"value", "delta", "gamma", "worst_bucket"} == set(best.noise)
    assert best.errors["gamma"] < 1e-3


def test_what_was_chosen_is_built_again_to_the_same_bytes(done: JobFolder, tmp_path: Path) -> None:
    again = begin(tmp_path / "again", tomllib.loads(CALL))
    grow(again, silent)
    assert again.trained.read() == done.trained.read()
    assert again.chosen.read() == done.chosen.read()


def test_a_crash_between_rounds_changes_nothing(
    done: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = begin(tmp_path / "crashed", tomllib.loads(CALL))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "worst", die)
        with pytest.raises(KeyboardInterrupt):
            grow(job, silent)
    grow(job, silent)
    assert job.trained.read() == done.trained.read()


def test_rounds_that_do_not_help_end_it() -> None:
    def of(gamma: float) -> Round:
        errors = {"gamma": gamma}
        return Round(
            samples=1,
            paths=1,
            hidden=(1,),
            iterations=1,
            order=1,
            errors=errors,
            learnt=errors,
            noise=errors,
            reason="",
        )

    aims = {"gamma": 1e-4}
    assert not stalled([of(1e-2)] * PATIENCE, aims)
    assert stalled([of(1e-2)] * (PATIENCE + 1), aims)
    assert not stalled([*[of(1e-2)] * PATIENCE, of(GAIN * 0.99e-2)], aims)


def test_a_wide_network_is_judged_on_curvatures_that_it_has_not_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "BEGINNINGS", ((9, 64, 2),))
    monkeypatch.setattr(choices, "FAR", 0.0)
    monkeypatch.setattr(choices, "WIDE_INPUTS", 3)
    monkeypatch.setattr(choices, "WIDE_SAMPLES", 128)
    monkeypatch.setattr(choices, "MOST_WIDE", 64)
    monkeypatch.setattr(choices, "WIDE_TRAINING", Adam(epochs=3))
    plain = tomllib.loads(CALL)
    identity = [[float(i == j) for j in range(4)] for i in range(4)]
    plain["problem"]["process"] |= {"volatilities": [0.2, 0.25, 0.3, 0.35], "correlation": identity}
    plain["problem"]["payoff"] = {"kind": "worst_of", "side": "put", "initial": [100.0] * 4, "strike": 1.0}
    plain["problem"]["features"] = [{"name": "spot", "lower": [60.0] * 4, "upper": [150.0] * 4}]
    job = begin(tmp_path, plain)
    grow(job, silent)
    first, wide = job.chosen.read().choices.rounds[-2:]
    assert (wide.hidden, wide.iterations, wide.order, wide.samples) == (WIDE, 3, 1, 128)
    assert set(wide.errors) == set(first.errors) == {"value", "delta", "gamma", "worst_bucket"}
    assert set(wide.learnt) == {"value", "delta"}
