from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from surrogate.dataset import Dataset
from surrogate.functions.network import initialise
from surrogate.learning import levenberg_marquardt
from surrogate.learning.levenberg_marquardt import descend, normal_equations
from surrogate.learning.losses import Objective, loss_weights
from surrogate.spec import SobolevLoss


@pytest.fixture
def objective(objective_of: Callable[..., Objective]) -> Objective:
    return objective_of(3, 2, order=2)


@pytest.mark.parametrize("entries", [1 << 22, 1 << 12])
def test_normal_equations_hold_the_gradient_and_the_gauss_newton_matrix(
    entries: int, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many samples a block of J may hold."""
    monkeypatch.setattr(levenberg_marquardt, "ENTRIES", entries)
    theta, ridge = objective.start(), 0.3
    square, slope = normal_equations(objective, theta, ridge)
    point = theta.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective.loss(point) + ridge * point @ point, point)
    torch.testing.assert_close(slope, gradient / 2.0)
    jacobian = torch.func.jacrev(lambda t: objective.residuals(t).reshape(-1))(theta)
    torch.testing.assert_close(square, jacobian.T @ jacobian / 128 + ridge * torch.eye(len(theta), dtype=theta.dtype))


def test_the_loss_never_rises(objective: Objective) -> None:
    _, losses = descend(objective, objective.start(), iterations=25, ridge=0.0, report=lambda: None)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3 * losses[0]


def test_one_step_solves_a_linear_problem(dataset: Dataset) -> None:
    """Only the output bias free: the residual is linear in it, so undamped Gauss-Newton lands on the mean."""
    student = initialise((3, 2, 1), "silu", generator=torch.Generator().manual_seed(1))
    last = torch.tensor([sum(t.numel() for t in (*student.weights, *student.biases)) - 1])
    objective = Objective(
        network=student, dataset=dataset, weights=loss_weights(dataset, SobolevLoss(order=0)), free=last
    )
    theta, _ = descend(objective, objective.start(), iterations=30, ridge=0.0, report=lambda: None)
    assert float(objective.residuals(theta).mean()) == pytest.approx(0.0, abs=1e-9)


def test_ridge_shrinks_the_parameters(objective: Objective) -> None:
    norms = [
        float(descend(objective, objective.start(), iterations=30, ridge=ridge, report=lambda: None)[0].norm())
        for ridge in (0.0, 1e-3, 1e-1)
    ]
    assert norms == sorted(norms, reverse=True)
