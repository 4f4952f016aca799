from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from pruning.compact import compact
from pruning.driver.report import report_on
from pruning.driver.stages import RunResult, Stage
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, size
from surrogate.functions.network import Network

SPEC = PruningSpec(method="magnitude", sparsity=0.5)


@pytest.fixture
def result(trained: Network, generator: torch.Generator) -> RunResult:
    """Random weights, the second input and the first two hidden nodes of the network gone."""
    first, *rest = (w * (torch.rand(w.shape, generator=generator) < 0.6) for w in trained.weights)
    first[:, 1] = 0.0
    first[:2] = 0.0
    network = replace(trained, weights=(first, *rest))
    budget = Budget(unit="weights", count=60)
    stage = Stage(budget=budget, cut=Cut(network=network, bound=0.5), network=network, losses=(3.0, 2.0))
    return RunResult(network=network, bound=0.5, stages=(stage,))


def test_the_numbers_are_those_of_the_networks(trained: Network, result: RunResult) -> None:
    report = report_on(trained, result.network, SPEC, result)
    weights = sum(weight.numel() for weight in trained.weights)
    assert report["sparsity"] == 1.0 - size(result.network, "weights") / weights
    assert report["inputs_removed"] == [1]
    assert "unread" not in report
    given = PruningSpec(method="magnitude", sparsity=0.5, splits=2)
    assert report_on(trained, result.network, given, result)["unread"] == ["splits"]
    assert report["parameters"]["compact"] == compact(result.network).parameters < report["parameters"]["after"]
    assert report["widths"]["compact"] == list(compact(result.network).widths)
    assert report["widths"]["before"] == report["widths"]["after"] == [3, 10, 8, 1]
    (entry,) = report["stages"]
    assert entry["kept"] == size(result.network, "weights")
    assert (entry["budget"], entry["unit"], entry["bound"], entry["loss"]) == (60, "weights", 0.5, 2.0)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_bound_does_not_outlive_the_rounding_of_parameters_unless_nothing_moved(
    trained: Network, result: RunResult
) -> None:
    rounded = result.network.to(torch.float32)
    assert report_on(trained, result.network, SPEC, result)["bound"] == 0.5
    assert report_on(trained, rounded, SPEC, result)["bound"] is None
    assert report_on(trained, rounded, SPEC, replace(result, bound=0.0))["bound"] == 0.0


def test_the_objective_is_told_where_there_is_one(trained: Network, result: RunResult) -> None:
    (stage,) = result.stages
    judged = replace(result, stages=(replace(stage, cut=replace(stage.cut, objective=0.25)),))
    assert report_on(trained, result.network, SPEC, judged)["stages"][0]["objective"] == 0.25
    assert "objective" not in report_on(trained, result.network, SPEC, result)["stages"][0]
