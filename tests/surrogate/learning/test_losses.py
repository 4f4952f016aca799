from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
import torch

from surrogate.dataset import Dataset, normalise
from surrogate.errors import SurrogateError
from surrogate.functions.network import Network, flatten, initialise, outputs, value_gradient_hessian
from surrogate.learning.losses import Objective, free_coordinates, loss_weights, residuals
from surrogate.spec import SobolevLoss
from surrogate.standardisation import fit_standardisation, to_normalised


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_teacher_has_no_residual(order: Literal[0, 1, 2], network: Network, dataset: Dataset) -> None:
    weights = loss_weights(dataset, SobolevLoss(order=order))
    rows = residuals(network, dataset, weights)
    assert rows.shape == (128, (1, 1 + 3, 1 + 3 + 2 * 3)[order])
    torch.testing.assert_close(rows, torch.zeros_like(rows))


def test_every_differential_gets_unit_second_moment(dataset: Dataset, network: Network) -> None:
    """The zero network leaves the labels as residuals; then each term's loss is its share of the weights."""
    standardisation = fit_standardisation(dataset.x, dataset.y)
    data = normalise(dataset, standardisation)
    zero = replace(
        network,
        weights=tuple(torch.zeros_like(w) for w in network.weights),
        biases=tuple(torch.zeros_like(b) for b in network.biases),
    )
    loss = SobolevLoss(order=2, delta_weight=1.0, curvature_weight=0.5)
    rows = residuals(zero, data, loss_weights(data, loss)).square().mean(dim=0)
    shares = torch.stack([rows[:1].sum(), rows[1:4].sum(), rows[4:].sum()])
    torch.testing.assert_close(shares, torch.tensor([1.0, 3.0, 1.5], dtype=torch.float64) / 5.5)
    torch.testing.assert_close(rows[1:4], rows[1].expand(3))  # each delta the same weight


def test_missing_labels_are_named(dataset: Dataset) -> None:
    values = Dataset(x=dataset.x, y=dataset.y)
    with pytest.raises(SurrogateError, match="order 1 needs delta labels"):
        loss_weights(values, SobolevLoss(order=1))
    with pytest.raises(SurrogateError, match="order 2 needs curvature labels"):
        loss_weights(replace(values, gradient=dataset.gradient), SobolevLoss(order=2))


def test_objective_moves_only_free_coordinates(network: Network, dataset: Dataset) -> None:
    masks = [torch.ones_like(w, dtype=torch.bool) for w in network.weights]
    masks[0][0] = False
    free = free_coordinates(network, masks)
    objective = Objective(
        network=network, dataset=dataset, weights=loss_weights(dataset, SobolevLoss(order=1)), free=free
    )
    assert len(objective.start()) == len(flatten(network)) - 3
    moved = objective.at(objective.start() + 1.0)
    assert torch.equal(moved.weights[0][0], network.weights[0][0])
    torch.testing.assert_close(moved.weights[0][1:], network.weights[0][1:] + 1.0)
    torch.testing.assert_close(moved.biases[2], network.biases[2] + 1.0)


def test_loss_is_the_mean_over_rows(network: Network, dataset: Dataset) -> None:
    scaled = to_normalised(network, fit_standardisation(dataset.x, 2.0 * dataset.y))
    objective = Objective(
        network=scaled,
        dataset=dataset,
        weights=loss_weights(dataset, SobolevLoss(order=1)),
        free=free_coordinates(network, None),
    )
    theta = objective.start()
    halves = [objective.loss(theta, slice(0, 64)), objective.loss(theta, slice(64, 128))]
    torch.testing.assert_close(objective.loss(theta), (halves[0] + halves[1]) / 2.0)


def test_class_labels_are_judged_by_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    classifier = initialise((3, 4, 3), "relu", generator=generator)
    data = Dataset(x=torch.rand(9, 3, generator=generator, dtype=torch.float64), y=torch.arange(9) % 3)
    weights = loss_weights(data, SobolevLoss(order=0))
    objective = Objective(network=classifier, dataset=data, weights=weights, free=free_coordinates(classifier, None))
    logits = outputs(classifier, data.x)
    expected = -torch.log_softmax(logits, dim=1)[torch.arange(9), data.y].mean()
    torch.testing.assert_close(objective.loss(objective.start()), expected)
    with pytest.raises(SurrogateError, match="train with adam or lbfgs"):
        residuals(classifier, data, weights)
    with pytest.raises(SurrogateError, match="order 0"):
        loss_weights(data, SobolevLoss(order=1))


def test_several_outputs_have_a_residual_each() -> None:
    generator = torch.Generator().manual_seed(0)
    network = initialise((3, 4, 2), "silu", generator=generator)
    data = Dataset(x=torch.rand(9, 3, generator=generator, dtype=torch.float64), y=torch.zeros(9, 2).double())
    weights = loss_weights(data, SobolevLoss(order=0))
    torch.testing.assert_close(residuals(network, data, weights), outputs(network, data.x))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_jacobian_is_the_derivative_of_the_residuals(
    order: Literal[0, 1, 2], weighted: bool, network: Network, dataset: Dataset
) -> None:
    """On some samples and the weights that a mask leaves, which is how Levenberg-Marquardt asks for it."""
    standardisation = fit_standardisation(dataset.x, 2.0 * dataset.y)
    data = normalise(replace(dataset, weight=dataset.x[:, 0] if weighted else None), standardisation)
    masks = [torch.ones_like(w, dtype=torch.bool) for w in network.weights]
    masks[1][0, 1:] = False
    objective = Objective(
        network=to_normalised(network, standardisation),
        dataset=data,
        weights=loss_weights(data, SobolevLoss(order=order)),
        free=free_coordinates(network, masks),
    )
    theta, rows = objective.start(), slice(16, 40)
    jacobian, residual = objective.jacobian(theta, rows)
    expected = torch.func.jacrev(lambda point: objective.residuals(point, rows))(theta)
    torch.testing.assert_close(jacobian, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(residual, objective.residuals(theta, rows))


def perturbed_errors(student: Network, teacher: Network, x: torch.Tensor, deviation: float) -> torch.Tensor:
    """E (f(x + eps) - f_theta(x + eps))^2, eps normal with this deviation, by Gauss-Hermite quadrature: exact here."""
    points, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(8))
    nodes = torch.cartesian_prod(*[points] * x.shape[1])
    shares = torch.cartesian_prod(*[weights / weights.sum()] * x.shape[1]).prod(dim=1)
    places = (x[:, None] + deviation * nodes).flatten(end_dim=1)
    squares = (outputs(student, places) - outputs(teacher, places)).square().reshape(len(x), -1)
    return squares @ shares


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A student, what it errs in, and the Sobolev loss whose delta term has the weight of a variance."""

    network: Network
    dataset: Dataset
    student: Network

    def sobolev(self, variance: float) -> float:
        """Sum over samples of value term plus variance times gradient term, by the loss that is trained on."""
        loss, count = SobolevLoss(order=1, delta_weight=variance), self.dataset.x.shape[1]
        weights = loss_weights(self.dataset, loss, delta_units=torch.ones(count, dtype=torch.float64))
        rows = residuals(self.student, self.dataset, weights)
        return float(rows.square().sum()) * (1.0 + variance * count)

    def curving(self) -> float:
        """Sum over samples of e times the Laplacian of e, the error e = f_theta - f."""
        parts = [value_gradient_hessian(network, self.dataset.x) for network in (self.student, self.network)]
        error, laplacian = parts[0][0] - parts[1][0], (parts[0][2] - parts[1][2]).diagonal(dim1=1, dim2=2).sum(dim=1)
        return float(error @ laplacian)

    def remainder(self, deviation: float, *, curving: float) -> float:
        """What the expansion leaves of the expected squared error of perturbed samples."""
        whole = float(perturbed_errors(self.student, self.network, self.dataset.x, deviation).sum())
        return whole - self.sobolev(deviation**2) - deviation**2 * curving


@pytest.fixture
def perturbation(network: Network, dataset: Dataset) -> Perturbation:
    """A student of other widths, far from the teacher."""
    few = dataset.rows(slice(16))
    student = initialise((3, 4, 1), "silu", generator=torch.Generator().manual_seed(5))
    return Perturbation(network=network, dataset=few, student=student)


def test_perturbed_samples_are_a_sobolev_loss_and_a_term_that_curves(perturbation: Perturbation) -> None:
    """E e(x + eps)^2 = e^2 + sigma^2 (|grad e|^2 + e lap e) + O(sigma^4): twice the deviation, 16 times the rest."""
    curving = perturbation.curving()
    rest = [perturbation.remainder(deviation, curving=curving) for deviation in (0.02, 0.04, 0.08)]
    assert rest[1] / rest[0] == pytest.approx(16.0, rel=0.02)
    assert rest[2] / rest[1] == pytest.approx(16.0, rel=0.05)


def test_without_that_term_the_expansion_is_of_second_order_only(perturbation: Perturbation) -> None:
    """The page has no e lap e: it follows from straight errors, and then misses sigma^2 of it elsewhere."""
    curving = perturbation.curving()
    rest = [perturbation.remainder(deviation, curving=0.0) for deviation in (0.02, 0.04)]
    assert rest[0] == pytest.approx(0.02**2 * curving, rel=0.02)
    assert rest[1] / rest[0] == pytest.approx(4.0, rel=0.05)


def test_where_values_are_met_perturbed_samples_are_the_sobolev_loss(perturbation: Perturbation) -> None:
    """At samples where e = 0 the page's expansion holds as it stands."""
    x = perturbation.dataset.x
    one = replace(perturbation, dataset=perturbation.dataset.rows(slice(1)))
    with torch.no_grad():
        gap = outputs(one.network, x[:1]) - outputs(one.student, x[:1])
    *others, last = one.student.biases
    met = replace(one, student=replace(one.student, biases=(*others, last + gap[0])))
    assert abs(met.curving()) < 1e-12
    rest = [met.remainder(deviation, curving=0.0) for deviation in (0.02, 0.04, 0.08)]
    assert rest[1] / rest[0] == pytest.approx(16.0, rel=0.02)
    assert rest[2] / rest[1] == pytest.approx(16.0, rel=0.05)
    assert met.sobolev(0.0) < 1e-12 < met.sobolev(0.04**2)
