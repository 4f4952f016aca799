"""Sobolev training of several outputs by sampled products with their Jacobian."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from surrogate.dataset import Dataset, normalise
from surrogate.errors import SurrogateError
from surrogate.functions.network import (
    Network,
    flatten,
    initialise,
    outputs,
    outputs_and_pullbacks,
    unflatten,
)
from surrogate.learning.cotangents import draw_cotangents, every_output
from surrogate.learning.losses import Objective, free_coordinates, loss_weights, residuals
from surrogate.learning.training import fit
from surrogate.learning.watching import Log, Watch
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_normalised

OUTPUTS = 4
OPTIMISERS: list[Optimiser] = [
    LBFGS(iterations=60),
    LevenbergMarquardt(starts=2, short=5, finalists=1, long=15),
]


@pytest.fixture
def teacher(generator: torch.Generator) -> Network:
    """Four outputs of very different size."""
    drawn = initialise((3, 6, OUTPUTS), "silu", generator=generator)
    sizes = torch.tensor([[1.0], [10.0], [0.1], [3.0]], dtype=torch.float64)
    return replace(drawn, weights=(drawn.weights[0], drawn.weights[1] * sizes))


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.rand(96, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.2])


def labelled(teacher: Network, x: Tensor, cotangents: Tensor) -> Dataset:
    y, pullbacks = outputs_and_pullbacks(teacher, x, cotangents)
    return Dataset(x=x, y=y, cotangents=cotangents, pullbacks=pullbacks)


def jacobians(network: Network, x: Tensor) -> Tensor:
    """Shape: -> batch output feature."""
    found: Tensor = torch.func.vmap(torch.func.jacrev(lambda point: outputs(network, point[None])[0]))(x)
    return found


def test_pullbacks_are_products_with_the_jacobian(teacher: Network, x: Tensor, generator: torch.Generator) -> None:
    cotangents = torch.randn(len(x), 2, OUTPUTS, generator=generator, dtype=torch.float64)
    y, pullbacks = outputs_and_pullbacks(teacher, x, cotangents)
    torch.testing.assert_close(y, outputs(teacher, x))
    torch.testing.assert_close(pullbacks, cotangents @ jacobians(teacher, x))


def test_signs_have_the_mean_square_of_the_outputs(teacher: Network, x: Tensor) -> None:
    y = outputs(teacher, x)
    drawn = draw_cotangents(x, y, 5000, generator=torch.Generator().manual_seed(1)) * y.std(dim=0, correction=0)
    torch.testing.assert_close(drawn.abs(), torch.ones_like(drawn))
    square = torch.einsum("nki,nkj->ij", drawn, drawn) / (len(x) * 5000)
    torch.testing.assert_close(square, torch.eye(OUTPUTS, dtype=torch.float64), rtol=0.0, atol=4.0 / (96 * 5000) ** 0.5)
    whole = every_output(x, y)[0] * y.std(dim=0, correction=0)
    torch.testing.assert_close(whole.T @ whole / OUTPUTS, torch.eye(OUTPUTS, dtype=torch.float64))


def test_the_loss_of_sampled_products_is_on_average_that_of_jacobians(teacher: Network, x: Tensor) -> None:
    """With every output as a probe it is the Frobenius norm; over draws its mean is the same, in equal units."""
    y, student = outputs(teacher, x), initialise((3, 5, OUTPUTS), "silu", generator=torch.Generator().manual_seed(9))
    standardisation = fit_standardisation(x, y)
    whole = normalise(labelled(teacher, x, every_output(x, y)), standardisation)
    weights = loss_weights(whole, SobolevLoss(order=1))

    def delta_term(data: Dataset) -> float:
        scale = (OUTPUTS / data.cotangents.shape[1]) ** 0.5 if data.cotangents is not None else 0.0
        rows = residuals(student, data, replace(weights, gradient=weights.gradient * scale))
        return float(rows[:, OUTPUTS:].square().sum(dim=1).mean())

    error = jacobians(student, whole.x) - jacobians(to_normalised(teacher, standardisation), whole.x)
    frobenius = (weights.gradient * error).square().sum(dim=(1, 2)).mean() * OUTPUTS
    assert delta_term(whole) == pytest.approx(float(frobenius), rel=1e-9)
    drawn = [
        delta_term(
            normalise(
                labelled(teacher, x, draw_cotangents(x, y, 2, generator=torch.Generator().manual_seed(seed))),
                standardisation,
            )
        )
        for seed in range(200)
    ]
    mean, spread = torch.tensor(drawn).mean(), torch.tensor(drawn).std()
    assert abs(float(mean) - float(frobenius)) < 4.0 * float(spread) / 200**0.5
    assert float(spread) > 0.0


def test_every_term_of_a_network_of_zeros_is_the_number_of_outputs(teacher: Network, x: Tensor) -> None:
    y = outputs(teacher, x)
    standardisation = fit_standardisation(x, y)
    data = normalise(labelled(teacher, x, every_output(x, y)), standardisation)
    zeros = initialise((3, 2, OUTPUTS), "tanh", generator=torch.Generator())
    zeros = unflatten(zeros, torch.zeros_like(flatten(zeros)))
    loss = SobolevLoss(order=1, delta_weight=1.0 / 3.0)  # half and half on three features
    rows = residuals(zeros, data, loss_weights(data, loss)).square().mean(dim=0)
    assert float(rows[:OUTPUTS].sum()) == pytest.approx(0.5 * OUTPUTS)
    assert float(rows[OUTPUTS:].sum()) == pytest.approx(0.5 * OUTPUTS)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_jacobian_of_the_residuals_is_their_derivative(teacher: Network, x: Tensor, weighted: bool) -> None:
    y, generator = outputs(teacher, x), torch.Generator().manual_seed(4)
    data = labelled(teacher, x, draw_cotangents(x, y, 2, generator=generator)).rows(slice(7))
    data = replace(data, weight=torch.rand(7, generator=generator, dtype=torch.float64)) if weighted else data
    network = initialise((3, 4, 2, OUTPUTS), "silu", generator=generator)
    objective = Objective(
        network=network,
        dataset=data,
        weights=loss_weights(data, SobolevLoss(order=1)),
        free=free_coordinates(network, None),
    )
    theta = objective.start()
    matrix, residual = objective.jacobian(theta)
    torch.testing.assert_close(residual, objective.residuals(theta))
    torch.testing.assert_close(matrix, torch.func.jacrev(objective.residuals)(theta), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
def test_one_sampled_product_a_sample_beats_values_alone_on_jacobians(
    optimiser: Optimiser, teacher: Network, x: Tensor
) -> None:
    few, exact = x[:24], jacobians(teacher, x)
    y = outputs(teacher, few)

    def error(order: int, seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        data = labelled(teacher, few, draw_cotangents(few, y, 1, generator=generator))
        spec = TrainingSpec(loss=SobolevLoss(order=1 if order else 0), optimisers=(optimiser,))
        log = Log()
        held_out = labelled(teacher, x, every_output(x, outputs(teacher, x)))
        watch = Watch(log=log, held_out=held_out)
        learnt = fit(data, NetworkSpec(hidden=(6,)), spec, generator=generator, watch=watch).network
        curve = log.trainings("train")[0].curves[-1]
        assert set(curve.terms) == {"value", "delta"}
        scale = exact.square().mean(dim=0)
        return float(((jacobians(learnt, x) - exact).square().mean(dim=0) / scale).mean())

    for seed in range(3):
        assert error(1, seed) < error(0, seed)


def test_mini_batches_take_products_too(teacher: Network, x: Tensor, generator: torch.Generator) -> None:
    y = outputs(teacher, x)
    data = labelled(teacher, x, draw_cotangents(x, y, 2, generator=generator))
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(Adam(epochs=150, batch=16, single_precision=True),))
    trained = fit(data, NetworkSpec(hidden=(6,)), spec, generator=generator)
    assert trained.losses[-1] < 0.3 * trained.losses[0]


def test_without_products_or_of_second_order_it_is_refused(teacher: Network, x: Tensor) -> None:
    y = outputs(teacher, x)
    data = labelled(teacher, x, every_output(x, y))
    with pytest.raises(SurrogateError, match="trained on values alone, or with pullbacks"):
        loss_weights(Dataset(x=x, y=y), SobolevLoss(order=1))
    with pytest.raises(SurrogateError, match="trained on values alone, or with pullbacks"):
        loss_weights(data, SobolevLoss(order=2))
