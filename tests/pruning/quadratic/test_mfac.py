from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruning.masks import masks_of
from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.mfac import newton_step, prune_mfac, prune_woodfisher, superpose
from pruning.quadratic.model import Model, expand
from pruning.spec import MethodName, PruningSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, initialise, outputs
from surrogate.standardisation import fit_standardisation


@pytest.fixture
def model(generator: torch.Generator) -> Model:
    return Model(
        rows=torch.randn(6, 10, generator=generator, dtype=torch.float64),
        residual=torch.zeros(6, dtype=torch.float64),
        anchor=torch.randn(10, generator=generator, dtype=torch.float64),
        ridge=0.1,
        sizes=[10],
    )


def evidence_of(
    dataset: Dataset, generator: torch.Generator, method: MethodName, rounds: int | None = None
) -> Evidence:
    standardisation = fit_standardisation(dataset.x, dataset.y)
    return Evidence(
        dataset=normalise(dataset, standardisation),
        standardisation=standardisation,
        training=dataset,
        domain=None,
        spec=PruningSpec(method=method, sparsity=0.5, rounds=rounds),
        generator=generator,
    )


def test_a_single_surgery_is_the_joint_one(model: Model) -> None:
    found = superpose(model, invert_blocks(model, model.blocks(None)), model.anchor, 9)
    joint = model.fit(found != 0, model.blocks(None))
    torch.testing.assert_close(found, joint, rtol=1e-9, atol=1e-9)


def test_several_surgeries_are_the_sum_of_single_ones(model: Model) -> None:
    inverse = torch.linalg.inv(model.rows.T @ model.rows + 0.1 * torch.eye(10, dtype=torch.float64))
    found = superpose(model, invert_blocks(model, model.blocks(None)), model.anchor, 6)
    gone = found == 0
    assert gone.sum() == 4
    expected = model.anchor.clone()
    for q in gone.nonzero()[:, 0].tolist():
        expected -= inverse[:, q] * model.anchor[q] / inverse[q, q]
    torch.testing.assert_close(found[~gone], expected[~gone], rtol=1e-9, atol=1e-9)


def test_a_block_of_the_whole_layer_is_the_whole(model: Model) -> None:
    whole = superpose(model, invert_blocks(model, model.blocks(None)), model.anchor, 5)
    assert torch.equal(superpose(model, invert_blocks(model, model.blocks(10)), model.anchor, 5), whole)


def test_one_round_is_woodfisher_and_more_rounds_never_revive_a_weight(
    dataset: Dataset, trained: Network, generator: torch.Generator
) -> None:
    budget = Budget(unit="weights", count=50)
    one = prune_mfac(trained, budget, evidence_of(dataset, generator, "mfac", rounds=1)).network
    reference = prune_woodfisher(trained, budget, evidence_of(dataset, generator, "woodfisher")).network
    for a, b in zip(one.weights, reference.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    thinned = replace(trained, weights=tuple(w.where(w.abs() > 0.05, 0.0) for w in trained.weights))
    more = prune_mfac(thinned, budget, evidence_of(dataset, generator, "mfac", rounds=5)).network
    assert size(more, "weights") == 50
    for before, after in zip(masks_of(thinned), masks_of(more), strict=True):
        assert not (after & ~before).any()


def test_rounds_lower_the_error(dataset: Dataset, trained: Network, generator: torch.Generator) -> None:
    def error(rounds: int) -> float:
        evidence = evidence_of(dataset, generator, "mfac", rounds=rounds)
        pruned = prune_mfac(trained, Budget(unit="weights", count=60), evidence).network
        return float((outputs(pruned, dataset.x)[:, 0] - dataset.y).square().mean())

    assert error(16) < 0.5 * error(1)


@pytest.mark.parametrize("classes", [False, True])
def test_the_newton_step_lowers_the_loss_of_an_untrained_network(
    classes: bool, dataset: Dataset, generator: torch.Generator
) -> None:
    data = Dataset(x=dataset.x, y=(dataset.y > 0.1).long()) if classes else dataset
    network = initialise((3, 8, 2 if classes else 1), "tanh", generator=generator)
    expansion = expand(network, evidence_of(data, generator, "woodtaylor"))
    model, samples = expansion.model, expansion.evidence.dataset

    def loss(w: torch.Tensor) -> float:
        y = outputs(expansion.network_at(w), samples.x)
        if classes:
            return float(torch.nn.functional.cross_entropy(y, samples.y))
        return float((y[:, 0] - samples.y).square().mean())

    stepped = newton_step(expansion, invert_blocks(model, model.blocks(None)))
    assert loss(stepped) < loss(model.anchor)
