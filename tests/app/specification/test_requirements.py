from __future__ import annotations

from typing import Any

import pytest

from app.specification.build import BuildSpec
from app.specification.requirements import FLOW_STAGES, flow_pruning
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.sampler import FlowSpec


@pytest.mark.parametrize(
    ("flow", "path"),
    [
        ({"sparsity": 2.0}, "labels.sampler.flow.sparsity"),
        ({"sparsity": 0.5, "method": "magic"}, "labels.sampler.flow.method"),
        ({"method": "magic"}, "labels.sampler.flow.method"),
        ({"sparsity": 0.99, "hidden": [2]}, "labels.sampler.flow.sparsity"),
    ],
)
def test_a_flow_is_pruned_by_a_method_that_exists(flow: dict[str, Any], path: str, tiny: dict[str, Any]) -> None:
    sampler = {"kind": "table", "states": [[1.0, 1.0], [0.9, 1.2]], "flow": flow}
    with pytest.raises(InvalidSpec, match=r"sparsity must be|would leave|choose one of .*magnitude") as caught:
        load(BuildSpec, tiny | {"labels": tiny["labels"] | {"sampler": sampler}})
    assert caught.value.fields["path"] == path


def test_a_flow_is_pruned_in_stages_or_not_at_all() -> None:
    pruning = flow_pruning(FlowSpec(sparsity=0.5))
    assert pruning is not None
    assert (pruning.sparsity, pruning.stages) == (0.5, FLOW_STAGES)
    assert flow_pruning(FlowSpec()) is None
