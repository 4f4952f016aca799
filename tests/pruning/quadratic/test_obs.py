from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.model import Model
from pruning.quadratic.obs import cost, minimum


def random_model(rows: int, generator: torch.Generator) -> Model:
    return Model(
        rows=torch.randn(rows, 8, generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        anchor=torch.randn(8, generator=generator, dtype=torch.float64),
        ridge=0.1,
        sizes=[8],
    )


def dense(model: Model) -> tuple[Tensor, Tensor]:
    """F^-1 and w - F^-1 g by matrices of weight x weight."""
    inverse = torch.linalg.inv(model.rows.T @ model.rows + model.ridge * torch.eye(8, dtype=torch.float64))
    return inverse, model.anchor - inverse @ (model.rows.T @ model.residual)


@pytest.mark.parametrize("rows", [4, 20])
def test_the_minimum_is_a_newton_step_and_so_is_a_block_of_the_whole_layer(
    rows: int, generator: torch.Generator
) -> None:
    model = random_model(rows, generator)
    for size in (None, 8):
        found = minimum(model, invert_blocks(model, model.blocks(size)))
        torch.testing.assert_close(found, dense(model)[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rows", [4, 20])
def test_the_joint_surgery_is_the_constrained_minimum_for_every_set(rows: int, generator: torch.Generator) -> None:
    model = random_model(rows, generator)
    inverse, best = dense(model)
    least = model.loss(best)
    for count in range(1, 8):
        for gone in combinations(range(8), count):
            removed = torch.zeros(8, dtype=torch.bool)
            removed[list(gone)] = True
            answer = torch.linalg.solve(inverse[removed][:, removed], best[removed])
            found = model.fit(~removed, model.blocks(None))
            torch.testing.assert_close(found, best - inverse[:, removed] @ answer, rtol=1e-9, atol=1e-9)
            assert not found[removed].any()
            # The rise of the loss is 1/2 w_K^T ([F^-1]_KK)^-1 w_K.
            assert model.loss(found) - least == pytest.approx(0.5 * float(best[removed] @ answer), rel=1e-8)


def test_the_cost_of_a_weight_is_what_the_loss_rises_by_without_it(generator: torch.Generator) -> None:
    model = random_model(5, generator)
    inverse = invert_blocks(model, model.blocks(None))
    best = minimum(model, inverse)
    costs = cost(best, inverse.diagonal())
    for q in range(8):
        support = torch.ones(8, dtype=torch.bool)
        support[q] = False
        rise = model.loss(model.fit(support, model.blocks(None))) - model.loss(best)
        assert float(costs[q]) == pytest.approx(rise, rel=1e-9)


def test_without_residuals_the_weights_are_the_minimum(generator: torch.Generator) -> None:
    model = random_model(5, generator)
    still = replace(model, residual=torch.zeros_like(model.residual))
    assert torch.equal(minimum(still, invert_blocks(still, still.blocks(3))), model.anchor)
