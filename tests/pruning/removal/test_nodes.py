from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.removal.nodes import prune_nodes
from pruning.scores import saliency
from pruning.spec import PruningSpec
from pruning.stage import Budget, Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, outputs

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"splits": 8},
    {"enclosure": "affine"},
    {"enclosure": "affine", "splits": 8},
    {"targets": ("value", "delta")},
    {"targets": ("delta", "gamma"), "splits": 4, "fold": "mean"},
)

PointsIn = Callable[..., torch.Tensor]


@pytest.fixture
def evidence(
    dataset: Dataset, interval: Interval, evidence_of: Callable[..., Evidence], generator: torch.Generator
) -> Evidence:
    return evidence_of(dataset, domain=interval, generator=generator)


def pruned(network: Network, evidence: Evidence, nodes: int, **options: Any) -> tuple[Network, float]:
    spec = PruningSpec(method="significance", sparsity=0.5, **options)
    given = replace(evidence, spec=spec)
    cut = prune_nodes(network, Budget(unit="nodes", count=nodes), given, score=saliency.node_significance)
    assert cut.bound is not None
    return cut.network, cut.bound


@pytest.mark.parametrize("options", OPTIONS)
def test_the_bound_holds_with_every_option(
    options: dict[str, Any], trained: Network, evidence: Evidence, interval: Interval, points_in: PointsIn
) -> None:
    x = points_in(interval, 20_000)
    for count in (14, 9):
        smaller, bound = pruned(trained, evidence, count, **options)
        assert sum(smaller.widths[1:-1]) == count
        assert 0.0 < float((outputs(smaller, x) - outputs(trained, x)).abs().max()) <= bound


def test_splits_and_affine_forms_prune_at_a_smaller_bound(trained: Network, evidence: Evidence) -> None:
    _, plain = pruned(trained, evidence, 14)
    for options in OPTIONS[1:4]:
        assert pruned(trained, evidence, 14, **options)[1] < plain


def test_each_target_has_the_same_say(trained: Network, evidence: Evidence) -> None:
    enclosure = enclose(trained, evidence.box)

    def score(*targets: Any) -> tuple[torch.Tensor, ...]:
        spec = PruningSpec(method="significance", sparsity=0.5, targets=targets)
        return saliency.node_significance(trained, replace(evidence, spec=spec), enclosure)

    alone = [score("value"), score("delta"), score("gamma")]
    for scores in alone:
        assert sum(float(layer.sum()) for layer in scores) == pytest.approx(1.0)
    for together, *parts in zip(score("value", "delta", "gamma"), *alone, strict=True):
        torch.testing.assert_close(together, parts[0] + parts[1] + parts[2])


def test_the_unit_of_an_input_does_not_change_the_scores(trained: Network, evidence: Evidence) -> None:
    """Spot in pennies: the network's first weights and the box change, the scores must not."""
    unit = torch.tensor([100.0, 1.0, 0.01], dtype=torch.float64)
    network = replace(trained, weights=(trained.weights[0] / unit, *trained.weights[1:]))
    other = replace(
        evidence,
        spec=PruningSpec(method="significance", sparsity=0.5, targets=("delta", "gamma")),
        standardisation=replace(evidence.standardisation, x_scale=evidence.standardisation.x_scale * unit),
        domain=Interval(evidence.box.lower * unit, evidence.box.upper * unit),
    )
    same = replace(other, standardisation=evidence.standardisation, domain=evidence.domain)
    for one, two in zip(
        saliency.node_significance(trained, same, enclose(trained, same.box)),
        saliency.node_significance(network, other, enclose(network, other.box)),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)
