from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pricing.domain import Box
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, flatten, value_and_gradient
from surrogate.learning.losses import Objective, loss_weights
from surrogate.learning.training import fit, train
from surrogate.learning.warm_start import fit_again
from surrogate.learning.watching import POINTS, ROWS, Gauge, Log, Watch, gauge, onlooker, planned, spread_out
from surrogate.report.curves import LossPoint
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation

OPTIMISERS: list[Optimiser] = [
    Adam(epochs=5, batch=32),
    Adam(epochs=5, batch=32, single_precision=True),
    LBFGS(iterations=45),
    LevenbergMarquardt(starts=3, short=6, finalists=2, long=9),
]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("inputs", ["features", "differential_pca"])
def test_watching_changes_no_bit(optimiser: Optimiser, inputs: str, dataset: Dataset) -> None:
    shape = NetworkSpec(hidden=(4,), inputs=inputs, axes=2 * (inputs != "features"))  # type: ignore[arg-type]
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser,))
    alone, watched, log = seeded(), seeded(), Log()
    expected = fit(dataset, shape, spec, generator=alone)
    held_out = dataset.rows(slice(8))
    found = fit(dataset, shape, spec, generator=watched, watch=Watch(log=log, held_out=held_out))
    assert torch.equal(flatten(found.network), flatten(expected.network))
    assert found.losses == expected.losses
    assert torch.equal(alone.get_state(), watched.get_state())
    (training,) = log.trainings("train")
    assert training.held_out == 8
    assert all(curve.held_out is not None for curve in training.curves)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_terms_by_their_shares_are_the_loss(
    order: int, objective_of: Callable[..., Objective], dataset: Dataset
) -> None:
    loss = SobolevLoss(order=order, delta_weight=0.5, curvature_weight=0.7)  # type: ignore[arg-type]  # 0, 1 or 2
    plain = objective_of(4, order=order)
    objective = replace(plain, weights=loss_weights(dataset, loss))
    measure = gauge(objective, loss, fit_standardisation(dataset.x, dataset.y), held_out=None)
    theta = objective.start()
    point = measure.point(theta, optimiser=OPTIMISERS[0], place=0, start=0, iteration=0)
    assert point.loss == pytest.approx(float(objective.loss(theta)), rel=1e-5)
    assert list(point.terms) == ["value", "delta", "curvature"]
    assert sum(measure.shares.values()) == pytest.approx(1.0)
    assert len(measure.shares) == order + 1
    y, gradient = value_and_gradient(objective.at(theta), dataset.x)
    assert dataset.gradient is not None
    error = (gradient - dataset.gradient).square().mean(dim=0) / dataset.gradient.square().mean(dim=0)
    assert point.terms["value"] == pytest.approx(float((y - dataset.y).square().mean()), rel=1e-5)
    assert point.terms["delta"] == pytest.approx(float(error.mean()), rel=1e-5)


def test_a_network_of_zeros_leaves_1_of_every_term(network: Network, dataset: Dataset) -> None:
    level = float(dataset.y.mean())
    zeros = replace(
        network,
        weights=tuple(torch.zeros_like(w) for w in network.weights),
        biases=(*(torch.zeros_like(b) for b in network.biases[:-1]), torch.full_like(network.biases[-1], level)),
    )
    log = Log()
    spec = TrainingSpec(loss=SobolevLoss(order=2), optimisers=(Adam(epochs=1, learning_rate=1e-9),))
    train(zeros, dataset, spec, generator=seeded(), watch=Watch(log=log, held_out=dataset))
    (curve,) = log.trainings("train")[0].curves
    assert curve.held_out is not None
    for name in ("value", "delta", "curvature"):
        assert curve.terms[name][0] == pytest.approx(1.0, rel=0.01)
        assert curve.held_out[name] == curve.terms[name]


def test_held_out_labels_may_have_fewer_derivatives(network: Network, dataset: Dataset) -> None:
    log = Log()
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(Adam(epochs=1),))
    values = Dataset(x=dataset.x, y=dataset.y)
    train(network, dataset, spec, generator=seeded(), watch=Watch(log=log, held_out=values))
    (curve,) = log.trainings("train")[0].curves
    assert curve.held_out is not None
    assert (set(curve.terms), set(curve.held_out)) == ({"value", "delta", "curvature"}, {"value"})


def test_classes_and_several_values_have_one_term(dataset: Dataset) -> None:
    spec = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(Adam(epochs=2),))
    for y in ((dataset.y > dataset.y.mean()).long(), torch.stack([dataset.y, -dataset.y], dim=1)):
        log, samples = Log(), Dataset(x=dataset.x, y=y)
        fit(samples, NetworkSpec(hidden=(3,)), spec, generator=seeded(), watch=Watch(log=log, held_out=samples))
        (curve,) = log.trainings("train")[0].curves
        assert set(curve.terms) == {"value"}
        assert curve.held_out == curve.terms


def test_a_start_goes_on_where_its_first_iterations_ended(dataset: Dataset) -> None:
    log, optimiser = Log(), LevenbergMarquardt(starts=3, short=4, finalists=2, long=5)
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser, LBFGS(iterations=20)))
    fit(dataset, NetworkSpec(hidden=(4,)), spec, generator=seeded(), watch=Watch(log=log))
    *starts, last = log.trainings("train")[0].curves
    assert [(curve.place, curve.start) for curve in starts] == [(0, 0), (0, 1), (0, 2)]
    assert sorted(curve.iteration[-1] for curve in starts) == [4, 9, 9]
    assert (last.optimiser, last.place, last.iteration) == ("lbfgs", 1, (0, 20))
    for curve in starts:
        assert curve.iteration == tuple(range(curve.iteration[-1] + 1))
        losses = [loss for loss in curve.loss if loss is not None]
        assert losses == sorted(losses, reverse=True)


class Still(Gauge):
    """Measures nothing."""

    def point(self, theta: torch.Tensor, *, optimiser: Optimiser, place: int, start: int, iteration: int) -> LossPoint:
        del theta, optimiser
        return LossPoint(optimiser="adam", place=place, start=start, iteration=iteration, loss=0.0, terms={})


def test_points_are_few_and_have_both_ends(objective_of: Callable[..., Objective], dataset: Dataset) -> None:
    objective, epochs = objective_of(4, order=1), 10_000
    measure = gauge(objective, SobolevLoss(), fit_standardisation(dataset.x, dataset.y), held_out=None)
    log, theta = Log(), objective.start()
    log.begin({}, measured=0, held_out=0)
    look = onlooker(Still(**vars(measure)), log, Adam(epochs=epochs), 0)
    for iteration in range(epochs + 1):
        look(theta, start=0, iteration=iteration, ended=iteration == epochs)
    look(theta, start=0, iteration=epochs, ended=True)
    (curve,) = log.trainings("train")[0].curves
    assert curve.iteration[:6] == (0, 1, 2, 4, 8, 16)
    assert curve.iteration[-1] == epochs
    assert len(curve.iteration) <= POINTS + 8


@pytest.mark.parametrize("samples", [1, 7, ROWS, ROWS + 1, 5 * ROWS - 1])
def test_the_same_samples_are_measured_on(samples: int) -> None:
    rows = spread_out(samples)
    assert len(rows) == min(samples, len(rows)) <= ROWS
    assert len(rows) > ROWS / 2 or len(rows) == samples
    assert int(rows[-1]) < samples


def test_what_is_planned_is_over_all_starts() -> None:
    assert [planned(optimiser) for optimiser in OPTIMISERS] == [5, 5, 45, 3 * 6 + 2 * 9]


def test_every_round_of_a_warm_start_is_seen(network: Network, dataset: Dataset, box: Box) -> None:
    log, shape = Log(), NetworkSpec(hidden=network.widths[1:-1])
    spec = TrainingSpec(loss=SobolevLoss(order=1))
    again = fit_again(network, dataset, shape, spec, before=box, after=box, generator=seeded(), watch=Watch(log=log))
    curves = [curve for training in log.trainings("train") for curve in training.curves]
    assert len(again.losses) >= len(curves) >= 1
    assert {curve.optimiser for curve in curves} == {"levenberg_marquardt"}


def test_a_loss_that_is_no_number_is_none(network: Network, dataset: Dataset) -> None:
    broken = replace(network, biases=(*network.biases[:-1], torch.full_like(network.biases[-1], torch.nan)))
    objective = Objective(
        network=broken, dataset=dataset, weights=loss_weights(dataset, SobolevLoss()), free=torch.arange(3)
    )
    measure = gauge(objective, SobolevLoss(), fit_standardisation(dataset.x, dataset.y), held_out=None)
    point = measure.point(objective.start(), optimiser=OPTIMISERS[0], place=0, start=0, iteration=0)
    assert point.loss is None
    assert point.terms["value"] is None
