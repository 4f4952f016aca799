from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pruning.errors import PruningError
from pruning.removal.masks import masks_of
from pruning.rows import ROWS, Rows, fisher, gauss_newton, model_rows, sobolev
from pruning.spec import PruningSpec, RowsName
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, value
from surrogate.learning.losses import loss_weights, residuals
from surrogate.spec import SobolevLoss


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    return initialise((3, 5, 4, 1), "silu", generator=generator)


@pytest.fixture
def few(dataset: Dataset) -> Dataset:
    return dataset.rows(slice(0, 6))


def whole(rows: Rows, network: Network) -> Tensor:
    return rows.matrix([torch.ones_like(weight, dtype=torch.bool) for weight in network.weights])


def jacobian(network: Network, few: Dataset, order: int) -> tuple[Tensor, Tensor]:
    """Residuals of the Sobolev loss and their derivatives by the weights, by autograd, one row at a time."""
    leaves = tuple(weight.detach().requires_grad_() for weight in network.weights)
    loss = SobolevLoss(order=1) if order else SobolevLoss(order=0)
    errors = residuals(replace(network, weights=leaves), few, loss_weights(few, loss)).T.reshape(-1)
    rows = [torch.cat([g.reshape(-1) for g in torch.autograd.grad(r, leaves, retain_graph=True)]) for r in errors]
    return errors.detach(), torch.stack(rows)


def test_gauss_newton_rows_are_the_derivatives_of_the_residuals(
    network: Network, few: Dataset, generator: torch.Generator
) -> None:
    residual, expected = jacobian(network, few, 0)
    rows = gauss_newton(network, few, generator)
    torch.testing.assert_close(whole(rows, network), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(rows.residual, residual)


def test_sobolev_rows_are_the_derivatives_of_value_and_delta_residuals(
    network: Network, few: Dataset, generator: torch.Generator
) -> None:
    residual, expected = jacobian(network, few, 1)
    rows = sobolev(network, few, generator)
    torch.testing.assert_close(whole(rows, network), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(rows.residual, residual)


def test_fisher_rows_add_up_to_the_gradient_of_the_loss(
    network: Network, few: Dataset, generator: torch.Generator
) -> None:
    leaves = tuple(weight.detach().requires_grad_() for weight in network.weights)
    loss = 0.5 * (value(replace(network, weights=leaves), few.x) - few.y).square().mean()
    total = fisher(network, few, generator).combine(torch.ones(6, dtype=torch.float64))
    for summed, expected in zip(total, torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(summed, 6.0 * expected)


@pytest.mark.parametrize("name", list(ROWS))
def test_the_gram_matrix_is_a_sum_of_hadamard_products(
    name: str, network: Network, few: Dataset, generator: torch.Generator
) -> None:
    rows = ROWS[name](network, few, generator)  # type: ignore[index]
    matrix = whole(rows, network)
    gram = torch.zeros(len(matrix), len(matrix), dtype=torch.float64)
    for left, right in zip(rows.left, rows.right, strict=True):
        for s in range(len(left)):
            for t in range(len(left)):
                gram += (left[s] @ left[t].T) * (right[s] @ right[t].T)
    torch.testing.assert_close(gram, matrix @ matrix.T)


@pytest.mark.parametrize("name", list(ROWS))
def test_products_agree_with_the_matrix(name: str, network: Network, few: Dataset, generator: torch.Generator) -> None:
    rows = ROWS[name](network, few, generator)  # type: ignore[index]
    matrix = whole(rows, network)
    u = torch.randn(len(matrix), generator=generator, dtype=torch.float64)
    combined = torch.cat([layer.reshape(-1) for layer in rows.combine(u)])
    torch.testing.assert_close(combined, u @ matrix)
    bound = torch.cat([layer.reshape(-1) for layer in rows.absolute(u)])
    assert (bound >= u.abs() @ matrix.abs() - 1e-12).all()


def test_only_kept_columns_are_formed(network: Network, few: Dataset, generator: torch.Generator) -> None:
    weights = (network.weights[0] * (network.weights[0] > 0), *network.weights[1:])
    pruned = replace(network, weights=weights)
    masks = masks_of(pruned)
    kept = torch.cat([mask.reshape(-1) for mask in masks])
    rows = gauss_newton(pruned, few, generator)
    torch.testing.assert_close(rows.matrix(masks), whole(rows, pruned)[:, kept])


def test_a_matrix_that_would_not_fit_is_refused_with_the_largest_number_of_rows() -> None:
    wide = torch.ones(1, 1, 1, dtype=torch.float64)
    rows = Rows(
        left=(wide.expand(1, 1 << 16, 1),),
        right=(wide.expand(1, 1 << 16, 1 << 13),),
        residual=wide.expand(1, 1, 1 << 16)[0, 0],
    )
    with pytest.raises(PruningError, match="at most 32768 rows"):
        rows.matrix([torch.ones(1, 1 << 13, dtype=torch.bool)])


@pytest.mark.parametrize("name", ["gauss_newton", "fisher"])
def test_the_gradient_term_is_the_gradient_of_the_loss(
    name: RowsName, network: Network, few: Dataset, generator: torch.Generator
) -> None:
    leaves = tuple(weight.detach().requires_grad_() for weight in network.weights)
    loss = 0.5 * (value(replace(network, weights=leaves), few.x) - few.y).square().sum()
    spec = PruningSpec(method="chita", sparsity=0.5, rows=name, gradient_term=True)
    rows = model_rows(network, few, spec, generator)
    for term, expected in zip(rows.combine(rows.residual), torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(term, expected)
    without = model_rows(
        network, few, PruningSpec(method="chita", sparsity=0.5, rows=name, gradient_term=False), generator
    )
    assert not without.residual.any()
    assert all(torch.equal(a, b) for a, b in zip(without.left, rows.left, strict=True))
    unsaid = model_rows(network, few, PruningSpec(method="chita", sparsity=0.5, rows=name), generator)
    assert torch.equal(unsaid.residual, without.residual if name == "fisher" else rows.residual)
