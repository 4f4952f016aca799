from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning.counting.targets import kept_count
from pruning.driver.budget import budgets
from pruning.errors import ImpossibleSparsity
from pruning.methods import METHODS
from pruning.spec import PruningSpec, ScheduleName
from pruning.stage import Budget, size
from surrogate.functions.network import initialise

NETWORK = initialise((3, 10, 8, 1), "silu", generator=torch.Generator().manual_seed(0))
WEIGHTS, HIDDEN, BIASES = 118, 18, 19


@given(
    sparsity=st.floats(0.0, 0.95),
    stages=st.integers(1, 12),
    schedule=st.sampled_from(get_args(ScheduleName)),
)
def test_budgets_fall_to_exactly_the_target(sparsity: float, stages: int, schedule: ScheduleName) -> None:
    path = budgets(NETWORK, PruningSpec(method="magnitude", sparsity=sparsity, stages=stages, schedule=schedule))
    assert len(path) == stages
    assert path[-1] == Budget(unit="weights", count=kept_count(WEIGHTS, sparsity))
    assert all(after.count <= before.count <= WEIGHTS for before, after in pairwise(path))


def test_nodes_are_hidden_ones_and_inputs_if_those_may_go() -> None:
    for protect, total in ((True, HIDDEN), (False, HIDDEN + 3)):
        spec = PruningSpec(method="significance", sparsity=0.5, protect_inputs=protect)
        assert budgets(NETWORK, spec) == (Budget(unit="nodes", count=kept_count(total, 0.5)),)
        assert size(NETWORK, "nodes", protect_inputs=protect) == total


def test_a_promised_error_may_need_everything() -> None:
    nodes, weights = (PruningSpec(method=method, relative_error=0.5) for method in ("pfp_random", "sipp_random"))
    assert budgets(NETWORK, nodes) == (Budget(unit="nodes", count=HIDDEN),)
    assert budgets(NETWORK, weights) == (Budget(unit="weights", count=WEIGHTS),)


def test_a_target_in_parameters_stays_one_but_where_the_number_of_weights_is_fixed() -> None:
    assert budgets(NETWORK, PruningSpec(method="magnitude", parameters=60)) == (Budget(unit="parameters", count=60),)
    assert budgets(NETWORK, PruningSpec(method="rigl", parameters=60)) == (Budget(unit="weights", count=60 - BIASES),)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("protect", [True, False])
def test_the_least_that_is_let_through_is_a_network(method: str, protect: bool) -> None:
    """One parameter fewer than the least is refused, and the least is that of a network with one node a layer."""

    def possible(parameters: int) -> bool:
        spec = PruningSpec(method=method, parameters=parameters, protect_inputs=protect)  # type: ignore[arg-type]
        try:
            budgets(NETWORK, spec)
        except ImpossibleSparsity:
            return False
        return True

    least = min(count for count in range(1, 138) if possible(count))
    assert all(possible(count) for count in range(least, 138))
    facts = METHODS[method]  # type: ignore[index]
    inputs = 3 if protect else 1
    if facts.phase == "during":
        assert least == facts.least_weights(NETWORK) + BIASES
    elif facts.granularity == "weights":
        # A weight a layer with its bias: 1-1-1-1.
        assert least == 6
    else:
        layers = 1 if facts.traits.merges_layers else 2
        assert least == (inputs + 1) + 2 * layers


def test_a_start_beyond_the_target_is_refused() -> None:
    with pytest.raises(ImpossibleSparsity, match=r"initial_sparsity = 0\.6 is beyond the target sparsity"):
        budgets(NETWORK, PruningSpec(method="magnitude", parameters=60, initial_sparsity=0.6))


def test_a_network_without_hidden_nodes_has_none_to_lose() -> None:
    line = initialise((3, 1), "silu", generator=torch.Generator().manual_seed(0))
    with pytest.raises(ImpossibleSparsity, match="removes nodes and this network has no hidden ones"):
        budgets(line, PruningSpec(method="magnitude_neuron", sparsity=0.5))
