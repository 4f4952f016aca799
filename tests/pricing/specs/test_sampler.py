"""Where labels may be made."""

from __future__ import annotations

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.labels import LabelSpec
from pricing.specs.sampler import MAXIMUM_FLOW_STEPS, FlowSpec, MoneynessSampler
from tests.pricing.cases import changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sampler", {"kind": "diffused", "initial": [1.0], "horizon": 0.0}, r"horizon must be in \[1e-06, 1000\]"),
        ("sampler", {"kind": "diffused"}, "missing required field `initial`"),
        ("sampler", {"kind": "moneyness", "bound": -1.0}, r"bound must be in \[1e-06, 1000\]"),
        ("sampler", {"kind": "table", "states": [[1.0], [2.0]], "flow": {"hidden": []}}, "hidden must be in"),
        ("sampler", {"kind": "table", "states": [[1.0], [2.0]], "flow": {"steps": 0}}, "steps must be in"),
        (
            "sampler",
            {"kind": "table", "states": [[1.0], [2.0]], "flow": {"epochs": 1001, "steps": 100}},
            "epochs times steps must be at most 100000, got 100100",
        ),
        ("sampler", {"kind": "table", "states": [[1.0]]}, "give 2 to 20000 rows, got 1 - at `sampler.states`"),
    ],
)
def test_samplers_that_make_no_sense(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(LabelSpec, changed(dump(LabelSpec()), path, value))


def test_direct_construction_validates_too() -> None:
    with pytest.raises(InvalidSpec, match=r"bound must be in \[1e-06, 1000\]"):
        MoneynessSampler(bound=0.0)


def test_a_flow_may_take_every_step_that_there_is_time_for() -> None:
    assert FlowSpec(epochs=MAXIMUM_FLOW_STEPS // 8, steps=8).epochs * 8 == MAXIMUM_FLOW_STEPS
    with pytest.raises(InvalidSpec, match="a smooth law needs few steps"):
        FlowSpec(epochs=MAXIMUM_FLOW_STEPS // 8 + 1, steps=8)
