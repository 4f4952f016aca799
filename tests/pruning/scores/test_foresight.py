from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pruning.removal.rounds import prune_in_rounds
from pruning.removal.weights import prune_weights
from pruning.scores import foresight
from pruning.scores.foresight import TEMPERATURE, grasp, snip, synflow
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs
from surrogate.learning.losses import loss_weights, residuals
from surrogate.spec import SobolevLoss, TrainingSpec
from surrogate.standardisation import to_normalised

EvidenceOf = Callable[..., Evidence]


@pytest.fixture
def evidence(dataset: Dataset, evidence_of: EvidenceOf) -> Evidence:
    return evidence_of(dataset)


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    return initialise((3, 6, 5, 1), "silu", generator=generator)


@pytest.fixture
def classes(dataset: Dataset, evidence_of: EvidenceOf) -> Evidence:
    labels = (dataset.x[:, 0] > 1.0).long() + (dataset.x[:, 1] > 1.0).long()
    return evidence_of(Dataset(x=dataset.x, y=labels))


def flow(network: Network) -> float:
    """R = 1^T |W_L| ... |W_1| 1."""
    carried = torch.ones(network.widths[0], dtype=torch.float64)
    for weight in network.weights:
        carried = weight.abs() @ carried
    return float(carried.sum())


def gradient_of(network: Network, loss: Callable[[Network], Tensor]) -> tuple[Tensor, ...]:
    """w dL/dw by autograd over the weight matrices."""
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    gradients = torch.autograd.grad(loss(replace(network, weights=tuple(weights))), weights)
    return tuple(w.detach() * g for w, g in zip(weights, gradients, strict=True))


def assert_same(scores: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for score, reference in zip(scores, expected, strict=True):
        torch.testing.assert_close(score, reference, rtol=1e-9, atol=1e-12 * float(reference.abs().max()))


def test_snip_is_the_change_of_a_loss_that_is_linear_in_the_weights(
    evidence: Evidence, generator: torch.Generator
) -> None:
    # Weights so small that the square of a weight is a millionth of what is linear in it.
    fresh = initialise((3, 1), "silu", generator=generator)
    network = replace(fresh, weights=(1e-6 * fresh.weights[0],))

    def loss(candidate: Network) -> float:
        return float((outputs(candidate, evidence.dataset.x)[:, 0] - evidence.dataset.y).square().mean())

    (scores,) = snip(network, evidence)
    for i in range(3):
        without = network.weights[0].clone()
        without[0, i] = 0.0
        assert abs(loss(network) - loss(replace(network, weights=(without,)))) == pytest.approx(
            float(scores[0, i]), rel=1e-4
        )


def test_snip_averages_over_samples_before_it_takes_the_absolute_value(evidence: Evidence) -> None:
    # y = w x with labels w x + e: at e = +-1 and x = 1 the two gradients cancel.
    x = torch.ones(2, 1, dtype=torch.float64)
    data = Dataset(x=x, y=torch.tensor([3.0, 1.0], dtype=torch.float64))
    network = Network(
        weights=(2.0 * torch.ones(1, 1, dtype=torch.float64),),
        biases=(torch.zeros(1, dtype=torch.float64),),
        activation="silu",
    )
    (scores,) = snip(network, replace(evidence, dataset=data))
    assert float(scores) == 0.0
    (alone,) = snip(network, replace(evidence, dataset=data.rows(slice(0, 1))))
    assert float(alone) == pytest.approx(4.0)


def test_snip_sees_deltas_where_the_loss_does(dataset: Dataset, network: Network, evidence_of: EvidenceOf) -> None:
    values = snip(network, evidence_of(dataset))
    given = evidence_of(dataset, rows="sobolev")
    share = loss_weights(given.dataset, SobolevLoss(order=1))
    expected = gradient_of(network, lambda n: residuals(n, given.dataset, share).square().sum(dim=1).mean())
    scores = snip(network, given)
    assert_same(scores, tuple(layer.abs() for layer in expected))
    assert not torch.allclose(scores[1], values[1], rtol=0.1)


def test_the_loss_is_that_of_fine_tuning_if_there_is_one(
    dataset: Dataset, network: Network, evidence_of: EvidenceOf
) -> None:
    tuning = TrainingSpec(loss=SobolevLoss(order=1, delta_weight=7.0))
    given = evidence_of(dataset, fine_tuning=tuning)
    share = loss_weights(given.dataset, tuning.loss)
    expected = gradient_of(network, lambda n: residuals(n, given.dataset, share).square().sum(dim=1).mean())
    assert_same(snip(network, given), tuple(layer.abs() for layer in expected))


def test_classes_have_the_cross_entropy(classes: Evidence, generator: torch.Generator) -> None:
    network = initialise((3, 6, 3), "relu", generator=generator)
    data = classes.dataset
    expected = gradient_of(network, lambda n: torch.nn.functional.cross_entropy(outputs(n, data.x), data.y))
    assert_same(snip(network, classes), tuple(layer.abs() for layer in expected))


def squared_gradient(network: Network, evidence: Evidence, temperature: float) -> float:
    given = foresight.loss_of_weights(network, evidence)
    (gradient,) = torch.autograd.grad(given.loss(temperature), given.theta)
    return float(gradient.square().sum())


def shrunk(network: Network, layer: int, index: tuple[int, int], factor: float) -> Network:
    weights = [weight.clone() for weight in network.weights]
    weights[layer][index] *= factor
    return replace(network, weights=tuple(weights))


@pytest.mark.parametrize("kind", ["values", "deltas", "classes"])
def test_grasp_is_minus_half_the_change_of_the_squared_gradient_on_removal(
    kind: str, dataset: Dataset, classes: Evidence, evidence_of: EvidenceOf, generator: torch.Generator
) -> None:
    network = initialise((3, 5, 3 if kind == "classes" else 1), "tanh", generator=generator)
    rows = "sobolev" if kind == "deltas" else "gauss_newton"
    given = classes if kind == "classes" else evidence_of(dataset, rows=rows)
    step = 1e-4
    for layer, score in enumerate(grasp(network, given)):
        for index in [(0, 0), (len(score) - 1, 1)]:
            # The derivative as the weight goes from all of it (1) towards nothing, to first order its removal.
            less, more = (
                squared_gradient(shrunk(network, layer, index, factor), given, TEMPERATURE)
                for factor in (1.0 - step, 1.0 + step)
            )
            change = (less - more) / (2.0 * step)
            assert change == pytest.approx(-2.0 * float(score[index]), rel=1e-5, abs=1e-12)


def test_grasp_first_removes_what_raises_the_gradient_norm_most(evidence: Evidence, network: Network) -> None:
    given = to_normalised(network, evidence.standardisation)
    step, changes = 1e-5, {}
    before = squared_gradient(given, evidence, 1.0)
    for layer, weight in enumerate(given.weights):
        for row in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                less = shrunk(given, layer, (row, column), 1.0 - step)
                changes[layer, row, column] = squared_gradient(less, evidence, 1.0) - before
    layer, row, column = max(changes, key=lambda place: changes[place])
    budget = Budget(unit="weights", count=size(network, "weights") - 1)
    cut = prune_weights(network, budget, evidence, score=grasp).network
    assert cut.weights[layer][row, column] == 0.0


def test_scores_of_pruned_weights_are_zero(evidence: Evidence, network: Network) -> None:
    pruned = shrunk(network, 1, (2, 3), 0.0)
    for score in (snip, grasp, synflow):
        assert score(pruned, evidence)[1][2, 3] == 0.0


def test_synflow_is_the_derivative_of_the_flow(evidence: Evidence, network: Network) -> None:
    def total(candidate: Network) -> Tensor:
        carried = torch.ones(candidate.widths[0], dtype=torch.float64)
        for weight in candidate.weights:
            carried = weight @ carried
        return carried.sum()

    positive = replace(network, weights=tuple(weight.abs() for weight in network.weights))
    expected, scores = gradient_of(positive, total), synflow(network, evidence)
    factor = flow(network) / scores[0].sum()
    assert_same(tuple(factor * score for score in scores), expected)


def test_synaptic_flow_is_conserved(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((7, 12, 9, 12, 2), "silu", generator=generator)
    scores = synflow(network, evidence)
    # Every layer carries R, and what flows into a hidden node flows out of it.
    totals = torch.stack([score.sum() for score in scores])
    torch.testing.assert_close(totals, totals[0].expand_as(totals), rtol=1e-12, atol=0.0)
    for into, out_of in pairwise(scores):
        torch.testing.assert_close(into.sum(dim=1), out_of.sum(dim=0), rtol=1e-12, atol=0.0)


def test_synflow_does_not_overflow(evidence: Evidence, generator: torch.Generator) -> None:
    deep = initialise((3, *[64] * 32, 1), "silu", generator=generator)
    huge = replace(deep, weights=tuple(1e10 * weight for weight in deep.weights))
    assert flow(huge) == float("inf")
    assert all(torch.isfinite(score).all() and score.sum() > 0 for score in synflow(huge, evidence))


@pytest.mark.parametrize("widths", [(10, 64, 64, 64, 64, 1), (7, 256, 64, 256, 1)])
def test_synflow_in_rounds_never_cuts_the_network(
    widths: tuple[int, ...], evidence_of: EvidenceOf, generator: torch.Generator
) -> None:
    network = initialise(widths, "silu", generator=generator)
    x = torch.rand(16, widths[0], generator=generator, dtype=torch.float64)
    evidence = evidence_of(Dataset(x=x, y=x.sum(dim=1)))
    layers, by_synflow = len(network.weights), partial(prune_weights, score=synflow)
    for count in (layers, 2 * layers, 20, 100):
        budget = Budget(unit="weights", count=count)
        cut = prune_in_rounds(network, budget, evidence, step=by_synflow, rounds=100).network
        assert size(cut, "weights") == count
        assert flow(cut) > 0.0
        # All at once, scores of weights that depend on each other leave pieces of different paths.
        if count <= 2 * layers:
            assert flow(prune_in_rounds(network, budget, evidence, step=by_synflow, rounds=1).network) == 0.0
