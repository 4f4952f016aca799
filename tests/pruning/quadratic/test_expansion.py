from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.quadratic.expansion import condensed, expand, living, sample_loss, with_weights
from pruning.quadratic.problem import restricted
from pruning.quadratic.regression import back_solve
from pruning.rows import gauss_newton
from pruning.spec import PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, outputs
from surrogate.standardisation import to_normalised


@pytest.fixture
def evidence(dataset: Dataset, evidence_of: Callable[..., Evidence], generator: torch.Generator) -> Evidence:
    return evidence_of(dataset, generator=generator)


def test_the_model_of_a_network_is_its_linearised_squared_error(evidence: Evidence, trained: Network) -> None:
    expansion = expand(trained, evidence)
    model = expansion.problem
    torch.testing.assert_close(model.matrix.norm(dim=0), torch.ones_like(model.anchor))
    data = evidence.dataset
    network = to_normalised(trained, evidence.standardisation)
    rows = gauss_newton(network, data, evidence.generator)
    gradient = expansion.coordinates(rows.combine(rows.residual))
    torch.testing.assert_close(model.matrix.T @ model.residual, gradient)
    assert model.loss(model.anchor) == pytest.approx(0.5 * float(rows.residual.square().sum()))
    step = 1e-5 * torch.randn(model.anchor.shape, generator=evidence.generator, dtype=torch.float64)
    moved = expansion.network_at(model.anchor + step)
    loss = 0.5 * float((outputs(moved, data.x)[:, 0] - data.y).square().sum())
    assert loss == pytest.approx(model.loss(model.anchor + step), rel=1e-6)
    assert abs(loss - model.loss(model.anchor)) > 1e-4 * loss


def test_the_anchor_gives_the_network_back(evidence: Evidence, trained: Network) -> None:
    expansion = expand(trained, evidence)
    back = expansion.cut(expansion.problem.anchor).network
    for before, after in zip((*trained.weights, *trained.biases), (*back.weights, *back.biases), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-12, atol=1e-12)


def test_what_lives_is_written_back_where_it_was(trained: Network, generator: torch.Generator) -> None:
    masked = replace(
        trained, weights=tuple(w * (torch.rand(w.shape, generator=generator) < 0.5) for w in trained.weights)
    )
    back = with_weights(masked, living(masked, masked.weights))
    assert all(torch.equal(a, b) for a, b in zip(masked.weights, back.weights, strict=True))
    doubled = with_weights(masked, 2.0 * living(masked, masked.weights))
    assert all(torch.equal(2.0 * a, b) for a, b in zip(masked.weights, doubled.weights, strict=True))


def test_condensed_rows_have_the_same_error_everywhere(generator: torch.Generator) -> None:
    matrix = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    residual = torch.randn(40, generator=generator, dtype=torch.float64)
    few, rest = condensed(matrix, residual)
    assert few.shape == (7, 6)
    for d in torch.randn(5, 6, generator=generator, dtype=torch.float64):
        assert float((few @ d + rest).norm()) == pytest.approx(float((matrix @ d + residual).norm()), rel=1e-12)
    assert condensed(few, rest)[0] is few


def test_the_samples_loss_is_the_mean_squared_error(evidence: Evidence, trained: Network) -> None:
    network = to_normalised(trained, evidence.standardisation)
    error = outputs(network, evidence.dataset.x)[:, 0] - evidence.dataset.y
    assert sample_loss(network, evidence) == pytest.approx(float(error.square().mean()), rel=1e-12)


def test_a_step_is_halved_until_the_samples_like_it_better_than_none(evidence: Evidence, trained: Network) -> None:
    expansion = expand(trained, evidence)
    anchor = expansion.problem.anchor
    kept = anchor.abs() > anchor.abs().median()
    start = restricted(anchor, kept)
    fitted = back_solve(expansion.problem, kept)
    assert expansion.loss(fitted, evidence) < expansion.loss(start, evidence)
    assert expansion.restrained(fitted, evidence).objective == expansion.problem.loss(fitted)
    far = start + 16.0 * (fitted - start)
    assert expansion.loss(far, evidence) > expansion.loss(start, evidence)
    halved = sample_loss(to_normalised(expansion.restrained(far, evidence).network, evidence.standardisation), evidence)
    assert halved < expansion.loss(start, evidence)
    # Uphill no step helps: the weights that stay do not answer at all.
    uphill = expansion.restrained(start - (fitted - start), evidence)
    assert uphill.objective == expansion.problem.loss(start)
    trusting = replace(evidence, spec=PruningSpec(method="obs", sparsity=0.5, safeguard=False))
    assert expansion.restrained(far, trusting).objective == expansion.problem.loss(far)
