from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from pruning.dynamic.regrowth import erdos_renyi
from pruning.dynamic.training import RULES, ExchangeRule, after_every_epoch, at_intervals, train_sparse
from pruning.removal.masks import masks_of
from pruning.spec import DynamicSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, initialise, outputs, unflatten, value_and_gradient
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.spec import Adam, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_normalised, to_raw

EvidenceOf = Callable[..., Evidence]
Name = Literal["set", "rigl"]
every_rule = pytest.mark.parametrize("name", ["set", "rigl"])
SHORT = DynamicSpec(optimiser=Adam(epochs=12, batch=64), interval=5)


@pytest.fixture
def network(dataset: Dataset, generator: torch.Generator) -> Network:
    return to_raw(initialise((3, 12, 10, 1), "silu", generator=generator), fit_standardisation(dataset.x, dataset.y))


class Recorded:
    """A rule's exchange that also keeps what it was given and what it made of it."""

    def __init__(self, name: Name) -> None:
        self.rule = RULES[name]
        self.calls: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []

    def __call__(
        self, weight: Tensor, kept: Tensor, *, gradient: Tensor, fraction: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        new, now = self.rule.exchange(weight, kept, gradient=gradient, fraction=fraction, generator=generator)
        self.calls.append((weight.clone(), kept.clone(), gradient.clone(), new.clone(), now.clone()))
        return new, now


def recorded(name: Name) -> tuple[Recorded, ExchangeRule]:
    record = Recorded(name)
    return record, replace(RULES[name], exchange=record)


@every_rule
def test_the_number_of_weights_of_every_layer_never_changes(
    name: Name, network: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    record, rule = recorded(name)
    budget = Budget(unit="weights", count=60)
    cut = train_sparse(network, budget, evidence_of(dataset, dynamics=SHORT), rule=rule)
    counts = erdos_renyi([(12, 3), (10, 12), (1, 10)], 60, dense_output=rule.dense_output)
    assert [int(mask.sum()) for mask in masks_of(cut.network)] == counts
    assert cut.bound is None
    assert record.calls
    for weight, kept, _, _, now in record.calls:
        assert kept.sum() == now.sum()
        # A pruned weight is 0 at any time, and the places do change.
        assert (weight[~kept] == 0).all()
    assert any(not torch.equal(kept, now) for _, kept, _, _, now in record.calls)


@every_rule
def test_the_sparse_network_learns_values_and_deltas(
    name: Name, network: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    dynamics = DynamicSpec(optimiser=Adam(epochs=100, batch=64), interval=20)
    evidence = evidence_of(dataset, dynamics=dynamics)
    trained = train_sparse(network, Budget(unit="weights", count=60), evidence, rule=RULES[name]).network
    value, gradient = value_and_gradient(trained, dataset.x)
    assert dataset.gradient is not None
    assert float((value - dataset.y).square().mean()) < 0.01 * float(dataset.y.var())
    assert float((gradient - dataset.gradient).square().mean()) < 0.1 * float(dataset.gradient.square().mean())


def test_rigl_does_not_step_when_it_exchanges(network: Network, dataset: Dataset, evidence_of: EvidenceOf) -> None:
    record, rule = recorded("rigl")
    dynamics = DynamicSpec(optimiser=Adam(epochs=6, batch=64), interval=1)
    evidence = evidence_of(dataset, dynamics=dynamics)
    train_sparse(network, Budget(unit="weights", count=60), evidence, rule=rule)
    # Steps 1 to 17 of 24 all exchange, so nothing else moves a weight in between; the output layer is dense.
    assert len(record.calls) == 2 * 17
    for before, after in zip(record.calls, record.calls[2:], strict=False):
        assert torch.equal(before[3], after[0])
        assert torch.equal(before[4], after[1])


def test_rigl_grows_by_the_dense_gradient_at_the_masked_weights(
    network: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    record, rule = recorded("rigl")
    # The one step before the one exchange leaves all parameters where they were.
    dynamics = DynamicSpec(optimiser=Adam(epochs=2, batch=256, learning_rate=1e-12), interval=1)
    evidence = evidence_of(dataset, dynamics=dynamics)
    train_sparse(network, Budget(unit="weights", count=60), evidence, rule=rule)
    (first, *_), (second, *_) = record.calls
    start = to_normalised(network, evidence.standardisation)
    objective = objective_of(replace(start, weights=(first, second, start.weights[2])), evidence)
    theta = objective.start().requires_grad_()
    (dense,) = torch.autograd.grad(objective.loss(theta), theta)
    for (_, kept, gradient, new, now), expected in zip(record.calls, unflatten(start, dense).weights[:2], strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)
        grown = now & ~kept
        assert grown.any()
        assert (new[grown] == 0).all()
        assert gradient[grown].abs().min() >= gradient[~now].abs().max()


def objective_of(network: Network, evidence: Evidence) -> Objective:
    return Objective(
        network=network,
        dataset=evidence.dataset,
        weights=loss_weights(evidence.dataset, SobolevLoss(order=1)),
        free=free_coordinates(network, None),
    )


@every_rule
def test_an_exchanged_weight_starts_without_momentum(
    name: Name, network: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    # At step t, moments that start at 0 make Adam move by
    #     rate (1 - b1) / sqrt(1 - b2) sqrt(1 - b2^t) / (1 - b1^t),
    # whatever the gradient is. SET exchanges after step 1 and RigL in place of step 3.
    record, rule = recorded(name)
    dynamics = DynamicSpec(optimiser=Adam(epochs=8, batch=256), interval=2)
    train_sparse(network, Budget(unit="weights", count=60), evidence_of(dataset, dynamics=dynamics), rule=rule)
    (_, kept, _, new, now), (after, *_) = record.calls[0], record.calls[2]
    # A node that nothing reads passes no gradient back.
    fresh = now & ~kept & (after != new)
    assert fresh.any()
    done, step = (1, 2) if name == "set" else (3, 3)
    rate = 0.01 * 0.5 * (1.0 + math.cos(math.pi * done / 8))
    expected = rate * 0.1 / 0.001**0.5 * (1.0 - 0.999**step) ** 0.5 / (1.0 - 0.9**step)
    torch.testing.assert_close((after - new)[fresh].abs(), torch.full_like(after[fresh], expected), rtol=1e-3, atol=0.0)


@every_rule
def test_a_place_that_no_sample_feels_stays_at_0(
    name: Name, evidence_of: EvidenceOf, generator: torch.Generator
) -> None:
    x = torch.rand(100, 3, generator=generator, dtype=torch.float64)
    x[:, 1] = 0.5
    data = Dataset(x=x, y=x[:, 0] - x[:, 2])
    network = initialise((3, 6, 1), "silu", generator=generator)
    first = network.weights[0].clone()
    first[:, 1] = 0.0
    network = replace(network, weights=(first, network.weights[1]))
    cut = train_sparse(
        network, Budget(unit="weights", count=23), evidence_of(data, dynamics=SHORT), rule=RULES[name]
    ).network
    # SET grows at random, and its weights are then what was drawn; RigL leaves the places as they were.
    assert size(cut, "weights") <= 23
    if name == "rigl":
        assert size(cut, "weights") < 23
        assert not cut.weights[0][:, 1].any()


@every_rule
def test_classes_and_single_precision(name: Name, evidence_of: EvidenceOf, generator: torch.Generator) -> None:
    x = torch.rand(300, 5, generator=generator)
    labels = x[:, :3].argmax(dim=1)
    network = initialise((5, 16, 3), "relu", generator=generator)
    dynamics = DynamicSpec(optimiser=Adam(epochs=60, batch=64, single_precision=True), interval=20)
    evidence = evidence_of(Dataset(x=x.double(), y=labels), dynamics=dynamics)
    cut = train_sparse(network, Budget(unit="weights", count=64), evidence, rule=RULES[name]).network
    assert size(cut, "weights") == 64
    assert cut.dtype == torch.float64
    assert float((outputs(cut, x.double()).argmax(dim=1) == labels).double().mean()) > 0.8


def test_the_loss_is_that_of_fine_tuning_if_there_is_one(
    network: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    def value_loss(given: Evidence) -> float:
        trained = train_sparse(network, Budget(unit="weights", count=60), given, rule=RULES["rigl"]).network
        data = normalise(dataset, given.standardisation)
        return float((outputs(to_normalised(trained, given.standardisation), data.x)[:, 0] - data.y).square().mean())

    dynamics = DynamicSpec(optimiser=Adam(epochs=12, batch=64), interval=10_000)
    tuning = TrainingSpec(loss=SobolevLoss(order=0))
    asked = value_loss(evidence_of(dataset, dynamics=dynamics, fine_tuning=tuning))
    without = Dataset(x=dataset.x, y=dataset.y)
    assert asked == value_loss(evidence_of(without, dynamics=dynamics))
    assert asked != value_loss(evidence_of(dataset, dynamics=dynamics))


def test_places_change_until_three_quarters_of_training() -> None:
    spec = DynamicSpec(optimiser=Adam(epochs=4), fraction=0.3, interval=10)
    batches = 25
    due = [step for step in range(100) if after_every_epoch(spec, step, batches) > 0.0]
    assert due == [24, 49]
    assert [step for step in range(100) if at_intervals(spec, step, batches) > 0.0] == [10, 20, 30, 40, 50, 60, 70]
    assert at_intervals(spec, 10, batches) < 0.3


def test_dense_is_plain_training(network: Network, dataset: Dataset, evidence_of: EvidenceOf) -> None:
    evidence = evidence_of(dataset, dynamics=SHORT)
    record, rule = recorded("set")
    trained = train_sparse(network, Budget(unit="weights", count=size(network, "weights")), evidence, rule=rule).network
    assert not record.calls
    before, after = (
        objective_of(to_normalised(given, evidence.standardisation), evidence) for given in (network, trained)
    )
    assert float(after.loss(after.start())) < 0.5 * float(before.loss(before.start()))
