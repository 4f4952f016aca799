from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pruning.quadratic.expansion import expand
from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.mfac import newton_step, prune_mfac, prune_woodfisher, superpose
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit
from pruning.removal.masks import masks_of
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs

EvidenceOf = Callable[..., Evidence]


@pytest.fixture
def at_minimum(random_problem: Callable[..., Quadratic]) -> Quadratic:
    """A problem without residuals: its dense weights are its minimum."""
    problem: Quadratic = random_problem(6, [10])
    return replace(problem, residual=torch.zeros_like(problem.residual))


def test_a_single_surgery_is_the_joint_one(at_minimum: Quadratic) -> None:
    single = superpose(at_minimum, invert_blocks(at_minimum, at_minimum.blocks(None)), at_minimum.anchor, 9)
    joint = fit(at_minimum, single != 0, at_minimum.blocks(None))
    torch.testing.assert_close(single, joint, rtol=1e-9, atol=1e-9)


def test_several_surgeries_are_the_sum_of_single_ones(
    at_minimum: Quadratic, damped_hessian: Callable[[Quadratic], Tensor]
) -> None:
    inverse = torch.linalg.inv(damped_hessian(at_minimum))
    several = superpose(at_minimum, invert_blocks(at_minimum, at_minimum.blocks(None)), at_minimum.anchor, 6)
    gone = several == 0
    assert gone.sum() == 4
    expected = at_minimum.anchor.clone()
    for q in gone.nonzero()[:, 0].tolist():
        expected -= inverse[:, q] * at_minimum.anchor[q] / inverse[q, q]
    torch.testing.assert_close(several[~gone], expected[~gone], rtol=1e-9, atol=1e-9)


def test_a_block_of_the_whole_layer_is_the_whole(at_minimum: Quadratic) -> None:
    whole, layer = (
        superpose(at_minimum, invert_blocks(at_minimum, at_minimum.blocks(size)), at_minimum.anchor, 5)
        for size in (None, 10)
    )
    assert torch.equal(layer, whole)


def test_one_round_is_woodfisher_and_more_rounds_never_revive_a_weight(
    dataset: Dataset, trained: Network, evidence_of: EvidenceOf
) -> None:
    budget = Budget(unit="weights", count=50)
    one = prune_mfac(trained, budget, evidence_of(dataset, rounds=1)).network
    reference = prune_woodfisher(trained, budget, evidence_of(dataset)).network
    for a, b in zip(one.weights, reference.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    thinned = replace(trained, weights=tuple(w.where(w.abs() > 0.05, 0.0) for w in trained.weights))
    more = prune_mfac(thinned, budget, evidence_of(dataset, rounds=5)).network
    assert size(more, "weights") == 50
    for before, after in zip(masks_of(thinned), masks_of(more), strict=True):
        assert not (after & ~before).any()


def test_rounds_lower_the_error(dataset: Dataset, trained: Network, evidence_of: EvidenceOf) -> None:
    def error(rounds: int) -> float:
        evidence = evidence_of(dataset, rounds=rounds)
        pruned = prune_mfac(trained, Budget(unit="weights", count=60), evidence).network
        return float((outputs(pruned, dataset.x)[:, 0] - dataset.y).square().mean())

    assert error(16) < 0.5 * error(1)


@pytest.mark.parametrize("classes", [False, True])
def test_the_newton_step_lowers_the_loss_of_an_untrained_network(
    classes: bool, dataset: Dataset, evidence_of: EvidenceOf, generator: torch.Generator
) -> None:
    data = Dataset(x=dataset.x, y=(dataset.y > 0.1).long()) if classes else dataset
    network = initialise((3, 8, 2 if classes else 1), "tanh", generator=generator)
    evidence = evidence_of(data)
    expansion = expand(network, evidence)
    problem, samples = expansion.problem, evidence.dataset

    def loss(w: Tensor) -> float:
        y = outputs(expansion.network_at(w), samples.x)
        if classes:
            return float(torch.nn.functional.cross_entropy(y, samples.y))
        return float((y[:, 0] - samples.y).square().mean())

    stepped = newton_step(expansion, invert_blocks(problem, problem.blocks(None)), evidence)
    assert loss(stepped) < loss(problem.anchor)
