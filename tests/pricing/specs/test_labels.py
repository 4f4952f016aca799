"""What a data set of labels may be asked for."""

from __future__ import annotations

import json

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.draws import Draws
from pricing.specs.estimator import Conditional, Pathwise, Smoothed
from pricing.specs.labels import MAXIMUM_EVALUATIONS, LabelSpec
from pricing.specs.sampler import DiffusedSampler, FlowSpec, MoneynessSampler, TableSampler, UniformSampler
from tests.pricing.cases import changed


@pytest.mark.parametrize(
    "spec",
    [
        LabelSpec(),
        LabelSpec(estimator=Pathwise(), order=1, sampler=DiffusedSampler(initial=(1.0, 2.0))),
        LabelSpec(estimator=Conditional(normal="last"), sampler=MoneynessSampler(bound=3.0)),
        LabelSpec(estimator=Smoothed(kernel="silu", width=0.025), sampler=UniformSampler()),
        LabelSpec(sampler=TableSampler(states=((0.1, 1.0 / 3.0), (2.0, 3.0)), flow=FlowSpec(sparsity=0.5))),
        LabelSpec(draws=Draws(source="antithetic", rotation="none", sharing="independent"), replicates=1),
    ],
)
def test_label_specs_survive_json(spec: LabelSpec) -> None:
    assert load(LabelSpec, json.loads(json.dumps(dump(spec)))) == spec


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("samples", 100, "samples must be a power of two"),
        ("samples", 0, "samples must be a power of two"),
        ("paths", 1 << 25, "paths must be a power of two from 1 to 16777216"),
        ("replicates", 0, "replicates must be 1 to 64"),
        ("replicates", 65, "replicates must be 1 to 64"),
        ("order", 3, "Invalid enum value 3"),
        ("directions", 0, "directions must be at least 1"),
        ("estimator", {"kind": "pathwise"}, "order = 2 needs a smooth estimator"),
        ("held_out", 3, "held_out must be a power of two from 1 to 512"),
        ("held_out", 1024, "held_out must be a power of two from 1 to 512"),
        ("held_out", -1, "held_out must be a power of two"),
    ],
)
def test_label_specs_that_make_no_sense(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(LabelSpec, changed(dump(LabelSpec()), path, value))


def test_more_payoffs_than_hours_have_room_for_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"must be at most \d+, got 35184372088832"):
        LabelSpec(samples=1 << 21, paths=1 << 24, replicates=1)


def test_antithetic_needs_a_pair() -> None:
    with pytest.raises(InvalidSpec, match="at least 2 for antithetic"):
        LabelSpec(paths=1, draws=Draws(source="antithetic"))


def test_as_many_payoffs_as_there_are_hours_for_are_taken() -> None:
    samples, paths = 1 << 20, 1 << 20
    assert samples * paths == MAXIMUM_EVALUATIONS
    assert LabelSpec(samples=samples, paths=paths, replicates=1).paths == paths


def test_a_sixteenth_is_held_out_where_that_is_cheap() -> None:
    assert LabelSpec(samples=512).unseen(fitted=False) == 32
    assert LabelSpec(samples=8).unseen(fitted=False) == 0
    assert LabelSpec(samples=1 << 16).unseen(fitted=False) == 1024
    assert LabelSpec().unseen(fitted=True) == 0
    assert LabelSpec(held_out=64).unseen(fitted=True) == 64
    assert LabelSpec(held_out=0).unseen(fitted=False) == 0
    states = TableSampler(states=((0.1, 1.0), (2.0, 3.0)))
    assert LabelSpec(sampler=states).unseen(fitted=False) == 0
    with pytest.raises(InvalidSpec, match="held_out: samples that follow a table"):
        LabelSpec(sampler=states, held_out=8)
    assert "held_out" not in dump(LabelSpec())
