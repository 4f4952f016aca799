from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from surrogate.dataset import Dataset, normalise
from surrogate.errors import SurrogateError
from surrogate.functions.network import Network, flatten, initialise, value_gradient_hessian
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.learning.ridge import ACCEPTED, FOLDS, LEAST, PROGRESS, choose_ridge, draw_groups, folds
from surrogate.learning.training import Trained, fit, train
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation

QUICK = LevenbergMarquardt(starts=4, short=20, finalists=1, long=40)
STEP = 0.2


def one_path(rows: int, seed: int) -> Dataset:
    """One path a row of max(x + 0.2 z - 1, 0) with its derivative: E y = d N(d) + n(d) in units of 0.2."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0.4, 1.6, (rows, 1))
    level = x[:, 0] + STEP * generator.standard_normal(rows) - 1.0
    return Dataset(
        x=torch.tensor(x), y=torch.tensor(np.maximum(level, 0.0)), gradient=torch.tensor((level > 0.0)[:, None] * 1.0)
    )


def gamma_r2(network: Network) -> float:
    """Against n(d) / 0.2 on the domain."""
    x = torch.linspace(0.4, 1.6, 401, dtype=torch.float64)[:, None]
    with torch.no_grad():
        found = value_gradient_hessian(network, x)[2][:, 0, 0]
    exact = torch.exp(-0.5 * ((x[:, 0] - 1.0) / STEP) ** 2) / (STEP * np.sqrt(2.0 * np.pi))
    return float(1.0 - (found - exact).square().sum() / (exact - exact.mean()).square().sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_chosen_ridge_saves_the_gamma_of_noisy_labels(seed: int) -> None:
    data, shape = one_path(600, seed), NetworkSpec(hidden=(4,), activation="softplus")
    found: dict[float | str, Trained] = {}
    settings: tuple[float | Literal["auto"], ...] = ("auto", 0.0)
    for ridge in settings:
        spec = TrainingSpec(optimisers=(QUICK,), ridge=ridge)
        found[ridge] = fit(data, shape, spec, generator=torch.Generator().manual_seed(seed))
    assert gamma_r2(found["auto"].network) > 0.6
    assert gamma_r2(found["auto"].network) > gamma_r2(found[0.0].network)
    choice = found["auto"].choice
    assert choice is not None
    assert choice.ridge > 0.0
    best = [score.excess for score in choice.scores].index(0.0)
    learnt = (FOLDS - 1) / FOLDS
    chosen = next(
        i for i, score in enumerate(choice.scores) if np.isclose(score.ridge * learnt, choice.ridge, atol=0.0)
    )
    assert chosen <= best
    assert all(score.excess > ACCEPTED for score in choice.scores[:chosen])
    assert all(score.excess >= -PROGRESS for score in choice.scores[best:])
    assert found[0.0].choice is None


def test_labels_without_noise_need_no_ridge() -> None:
    x = torch.linspace(-2.0, 2.0, 200, dtype=torch.float64)[:, None]
    data = Dataset(x=x, y=torch.nn.functional.softplus(x[:, 0]), gradient=torch.sigmoid(x))
    spec = TrainingSpec(optimisers=(QUICK,), ridge="auto")
    trained = fit(
        data, NetworkSpec(hidden=(2,), activation="softplus"), spec, generator=torch.Generator().manual_seed(0)
    )
    assert trained.choice is not None
    assert trained.choice.ridge < 1e-6


@pytest.mark.parametrize("optimiser", [QUICK, LBFGS(iterations=300), Adam(epochs=400, batch=64, learning_rate=3e-2)])
def test_every_optimiser_finds_the_ridge_solution(optimiser: Optimiser) -> None:
    """Without hidden layers the loss is that of ridge regression: (X'X / n + rho) theta = X'y / n."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([1.0, -2.0], dtype=torch.float64) + torch.randn(64, generator=generator, dtype=torch.float64)
    network = Network(
        weights=(torch.zeros(1, 2, dtype=torch.float64),),
        biases=(torch.zeros(1, dtype=torch.float64),),
        activation="silu",
    )
    spec = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(optimiser,), ridge=0.3)
    data = Dataset(x=x, y=y)
    standardisation = fit_standardisation(x, y)
    trained = train(network, data, spec, generator=generator).network
    design = torch.cat([normalise(data, standardisation).x, torch.ones(64, 1, dtype=torch.float64)], dim=1)
    exact = torch.linalg.solve(
        design.T @ design / 64 + 0.3 * torch.eye(3, dtype=torch.float64),
        design.T @ normalise(data, standardisation).y / 64,
    )
    slope = trained.weights[0][0] * standardisation.x_scale / standardisation.y_scale
    torch.testing.assert_close(slope, exact[:2], rtol=2e-3, atol=2e-3)


def test_a_weight_counts_as_that_many_samples() -> None:
    data = one_path(40, 0)
    network = initialise((1, 3, 1), "silu", generator=torch.Generator().manual_seed(1))
    count = torch.arange(1, 41) % 3 + 1
    repeated = data.rows(torch.arange(40).repeat_interleave(count))
    weighted = replace(data, weight=count.double() / count.double().mean())
    shares = loss_weights(data, SobolevLoss())

    def objective(samples: Dataset) -> Objective:
        return Objective(
            network=network, dataset=samples, weights=shares, free=free_coordinates(network, None), ridge=0.1
        )

    theta = flatten(network)
    torch.testing.assert_close(objective(weighted).loss(theta), objective(repeated).loss(theta))
    matrix, rows = objective(weighted).jacobian(theta)
    more, less = objective(repeated).jacobian(theta)
    torch.testing.assert_close(
        torch.einsum("nrp,nr->p", matrix, rows) / 40, torch.einsum("nrp,nr->p", more, less) / len(repeated)
    )


def test_weights_in_any_unit_are_the_same() -> None:
    data = one_path(40, 0)
    standardisation = fit_standardisation(data.x, data.y)
    given = normalise(replace(data, weight=torch.arange(1.0, 41.0, dtype=torch.float64)), standardisation).weight
    other = normalise(replace(data, weight=7.0 * torch.arange(1.0, 41.0, dtype=torch.float64)), standardisation).weight
    assert given is not None
    assert other is not None
    torch.testing.assert_close(given, other)
    torch.testing.assert_close(given.mean(), torch.ones((), dtype=torch.float64))


def test_equal_features_stay_together() -> None:
    x = torch.randint(0, 5, (300, 2), generator=torch.Generator().manual_seed(0)).double()
    x[:, 0] += torch.arange(300) % 7
    data = Dataset(x=x, y=torch.zeros(300, dtype=torch.float64))
    parts = folds(data, generator=torch.Generator().manual_seed(1))
    assert len(parts) == FOLDS
    assert sorted(torch.cat([test for _, test in parts]).tolist()) == list(range(300))
    for learnt, judged in parts:
        assert not {tuple(row) for row in x[learnt].tolist()} & {tuple(row) for row in x[judged].tolist()}
        assert len(learnt) + len(judged) == 300


def test_groups_come_in_the_order_of_the_seed() -> None:
    x = torch.tensor([[1.0], [2.0], [1.0], [3.0], [2.0]])
    orders = {tuple(x[draw_groups(x, generator=torch.Generator().manual_seed(s))][:, 0].tolist()) for s in range(40)}
    assert len(orders) == 6
    assert (1.0, 1.0, 2.0, 2.0, 3.0) in orders


def test_too_few_samples_are_refused() -> None:
    data = one_path(LEAST - 1, 0)
    with pytest.raises(SurrogateError, match="needs 20 samples"):
        fit(data, NetworkSpec(hidden=(2,)), TrainingSpec(ridge="auto"), generator=torch.Generator().manual_seed(0))


def test_first_order_optimisers_choose_too() -> None:
    data = one_path(100, 0)
    network = initialise((1, 2, 1), "silu", generator=torch.Generator().manual_seed(1))
    normalised = normalise(data, fit_standardisation(data.x, data.y))
    objective = Objective(
        network=network,
        dataset=normalised,
        weights=loss_weights(normalised, SobolevLoss()),
        free=free_coordinates(network, None),
    )
    told: list[float] = []

    def choose() -> tuple[float, Tensor]:
        found = choose_ridge(
            objective,
            objective.start(),
            (LBFGS(iterations=20),),
            generator=torch.Generator().manual_seed(2),
            progress=told.append,
        )
        return found.ridge, found.theta

    first, second = choose(), choose()
    assert first[0] == second[0] > 0.0
    assert torch.equal(first[1], second[1])
    assert told == sorted(told[: len(told) // 2]) * 2
