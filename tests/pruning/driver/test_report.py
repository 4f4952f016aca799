from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from pruning.compact import compact
from pruning.driver.report import report_on
from pruning.driver.stages import Outcome, Stage
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, size
from surrogate.functions.network import Network

SPEC = PruningSpec(method="magnitude", sparsity=0.5)


@pytest.fixture
def outcome(trained: Network, generator: torch.Generator) -> Outcome:
    """Random weights, the second input and the first two hidden nodes of the network gone."""
    first, *rest = (w * (torch.rand(w.shape, generator=generator) < 0.6) for w in trained.weights)
    first[:, 1] = 0.0
    first[:2] = 0.0
    network = replace(trained, weights=(first, *rest))
    budget = Budget(unit="weights", count=60)
    stage = Stage(budget=budget, cut=Cut(network=network, bound=0.5), network=network, losses=(3.0, 2.0))
    return Outcome(network=network, bound=0.5, stages=(stage,))


def test_the_numbers_are_those_of_the_networks(trained: Network, outcome: Outcome) -> None:
    report = report_on(trained, outcome.network, SPEC, outcome)
    weights = sum(weight.numel() for weight in trained.weights)
    assert report["sparsity"] == 1.0 - size(outcome.network, "weights") / weights
    assert report["inputs_removed"] == [1]
    assert report["parameters"]["compact"] == compact(outcome.network).parameters < report["parameters"]["after"]
    assert report["widths"]["compact"] == list(compact(outcome.network).widths)
    assert report["widths"]["before"] == report["widths"]["after"] == [3, 10, 8, 1]
    (entry,) = report["stages"]
    assert entry["kept"] == size(outcome.network, "weights")
    assert (entry["budget"], entry["unit"], entry["bound"], entry["loss"]) == (60, "weights", 0.5, 2.0)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_bound_does_not_outlive_the_rounding_of_parameters_unless_nothing_moved(
    trained: Network, outcome: Outcome
) -> None:
    rounded = outcome.network.to(torch.float32)
    assert report_on(trained, outcome.network, SPEC, outcome)["bound"] == 0.5
    assert report_on(trained, rounded, SPEC, outcome)["bound"] is None
    assert report_on(trained, rounded, SPEC, replace(outcome, bound=0.0))["bound"] == 0.0
