from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pruning.quadratic.chita import Quadratic, back_solve
from pruning.quadratic.model import Model, expand
from pruning.rows import gauss_newton
from pruning.spec import PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, outputs
from surrogate.standardisation import fit_standardisation, to_normalised


def random_model(rows: int, sizes: list[int], generator: torch.Generator, *, ridge: float = 0.1) -> Model:
    return Model(
        rows=torch.randn(rows, sum(sizes), generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        anchor=torch.randn(sum(sizes), generator=generator, dtype=torch.float64),
        ridge=ridge,
        sizes=sizes,
    )


def chosen(indices: tuple[int, ...], size: int) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[list(indices)] = True
    return mask


@pytest.fixture
def evidence(dataset: Dataset, generator: torch.Generator) -> Evidence:
    standardisation = fit_standardisation(dataset.x, dataset.y)
    return Evidence(
        dataset=normalise(dataset, standardisation),
        standardisation=standardisation,
        training=dataset,
        domain=None,
        spec=PruningSpec(method="obs", sparsity=0.5),
        generator=generator,
    )


@pytest.mark.parametrize("rows", [4, 30])
def test_the_fit_is_the_back_solve_of_chita(rows: int, generator: torch.Generator) -> None:
    model = random_model(rows, [12], generator)
    quadratic = Quadratic(
        rows=model.rows,
        anchor=model.anchor,
        residual=model.residual,
        ridge=model.ridge,
        priority=torch.zeros_like(model.anchor),
    )
    support = chosen((0, 3, 4, 7, 8, 11), 12)
    found = model.fit(support, model.blocks(None))
    torch.testing.assert_close(found, back_solve(quadratic, support), rtol=1e-10, atol=1e-10)


def test_a_block_is_fitted_to_its_own_cut_and_what_earlier_blocks_left(generator: torch.Generator) -> None:
    model = random_model(10, [24], generator)
    support = chosen(tuple(range(0, 24, 2)), 24)
    blocks = model.blocks(5)
    w = model.anchor.clone()
    for number, block in enumerate(blocks):
        w[block] = model.fit(support, blocks[: number + 1])[block]
        slope = model.rows.T @ (model.rows @ (w - model.anchor) + model.residual) + model.ridge * (w - model.anchor)
        assert slope[block][support[block]].norm() < 1e-10
    assert not w[~support].any()


def test_one_block_of_a_layer_is_all_of_it(generator: torch.Generator) -> None:
    model = random_model(10, [24], generator)
    support = chosen(tuple(range(0, 24, 2)), 24)
    whole = model.fit(support, model.blocks(None))
    assert torch.equal(model.fit(support, model.blocks(24)), whole)
    assert model.loss(whole) < model.loss(model.fit(support, model.blocks(5)))


def test_blocks_are_even_runs_of_one_layer(generator: torch.Generator) -> None:
    model = random_model(2, [7, 0, 3, 1], generator)
    sizes = [block.stop - block.start for block in model.blocks(4)]
    assert sizes == [3, 4, 3, 1]
    assert [block.start for block in model.blocks(4)] == [0, 3, 7, 10]


def test_weights_without_effect_go_first_and_one_a_layer_stays(generator: torch.Generator) -> None:
    model = random_model(5, [3, 3], generator)
    rows = model.rows.clone()
    rows[:, 0] = 0.0
    scores = torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    kept = replace(model, rows=rows).keep(scores, 3)
    assert kept.tolist() == [False, False, True, False, True, True]
    assert model.keep(scores, 1).sum() == 1


def test_the_model_of_a_network_is_its_linearised_squared_error(evidence: Evidence, trained: Network) -> None:
    expansion = expand(trained, evidence)
    model = expansion.model
    torch.testing.assert_close(model.rows.norm(dim=0), torch.ones_like(model.anchor))
    data = evidence.dataset
    network = to_normalised(trained, evidence.standardisation)
    rows = gauss_newton(network, data, evidence.generator)
    gradient = expansion.columns(rows.combine(rows.residual))
    torch.testing.assert_close(model.rows.T @ model.residual, gradient)
    assert model.loss(model.anchor) == pytest.approx(0.5 * float(rows.residual.square().sum()))
    step = 1e-5 * torch.randn(model.anchor.shape, generator=evidence.generator, dtype=torch.float64)
    moved = expansion.network_at(model.anchor + step)
    loss = 0.5 * float((outputs(moved, data.x)[:, 0] - data.y).square().sum())
    assert loss == pytest.approx(model.loss(model.anchor + step), rel=1e-6)
    assert abs(loss - model.loss(model.anchor)) > 1e-4 * loss


def test_the_anchor_gives_the_network_back(evidence: Evidence, trained: Network) -> None:
    expansion = expand(trained, evidence)
    back = expansion.cut(expansion.model.anchor).network
    for before, after in zip((*trained.weights, *trained.biases), (*back.weights, *back.biases), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-12, atol=1e-12)
