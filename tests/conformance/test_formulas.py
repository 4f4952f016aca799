"""Formulas as the source talks print them (docs/sources.md), written out beside the code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, silu

from pricing.simulation.smoothing import ramp, step
from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.intervals.significance import significance
from pruning.layerwise.sensitivity import sensitivity
from pruning.quadratic.problem import Quadratic
from pruning.rows import fisher
from pruning.scores.foresight import grasp, snip, synflow
from pruning.scores.saliency import salience
from pruning.spec import PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs, value_and_gradient
from surrogate.learning.losses import loss_weights, residuals
from surrogate.spec import SobolevLoss
from surrogate.standardisation import Standardisation

WIDTHS = (3, 5, 4, 1)


def close(one: Tensor | tuple[Tensor, ...], other: Tensor | tuple[Tensor, ...]) -> None:
    """Equal to rounding."""
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    return initialise(WIDTHS, "silu", generator=generator)


@pytest.fixture
def dataset(generator: torch.Generator) -> Dataset:
    """Samples whose deltas have root mean square 1."""
    x, y, gradient = (torch.randn(40, *shape, generator=generator).double() for shape in ((3,), (), (3,)))
    return Dataset(x=x, y=y, gradient=gradient / gradient.square().mean(dim=0).sqrt())


@pytest.fixture
def evidence(dataset: Dataset, generator: torch.Generator) -> Evidence:
    """The samples as they are."""
    zero, one = (torch.full((3,), number).double() for number in (0.0, 1.0))
    same = Standardisation(x_mean=zero, x_scale=one, y_mean=zero[0], y_scale=one[0])
    spec = PruningSpec(method="salience", sparsity=0.5)
    return Evidence(
        dataset=dataset, standardisation=same, training=dataset, domain=None, spec=spec, generator=generator
    )


def test_the_sobolev_loss(network: Network, dataset: Dataset) -> None:
    share = 0.7
    y, gradient = value_and_gradient(network, dataset.x)
    assert dataset.gradient is not None
    talk = (dataset.y - y).square() + share * (dataset.gradient - gradient).square().sum(dim=1)
    weights = loss_weights(dataset, SobolevLoss(order=1, delta_weight=share))
    ours = residuals(network, dataset, weights).square().sum(dim=1)
    close(ours, talk / (1.0 + share * dataset.x.shape[1]))


@pytest.mark.parametrize("width", [0.1, 1.0])
def test_smoothing(width: float) -> None:
    x = torch.linspace(-3.0, 3.0, 61).double()[None]
    sigma = 1.0 / (1.0 + torch.exp(-x / width))
    close(ramp("silu", x, width=width), x * sigma)
    close(step("softplus", x, width=width), sigma)
    close(ramp("silu", x, width=1.0), silu(x))


def test_significance_of_a_chain() -> None:
    inner, outer, (low, high) = 1.5, -2.0, (-0.2, 0.7)
    weights = tuple(torch.tensor([[w]], dtype=torch.float64) for w in (inner, outer))
    chain = Network(weights=weights, biases=(torch.zeros(1).double(),) * 2, activation="tanh")
    box = Interval(*(torch.tensor([bound], dtype=torch.float64) for bound in (low, high)))
    at_input, at_node = significance(enclose(chain, box))
    # The slope of tanh is largest at 0, which the interval holds.
    assert float(at_input) == pytest.approx((high - low) * abs(inner * outer), rel=1e-12)
    assert float(at_node) == pytest.approx((math.tanh(inner * high) - math.tanh(inner * low)) * abs(outer), rel=1e-12)


def of_weights(network: Network, loss: Callable[[Network], Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and the derivative of a loss by them, differentiable."""
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    slopes = torch.autograd.grad(loss(replace(network, weights=tuple(weights))), weights, create_graph=True)
    return weights, list(slopes)


def test_salience_snip_and_grasp(network: Network, evidence: Evidence) -> None:
    data = evidence.dataset
    weights, slopes = of_weights(network, lambda net: (outputs(net, data.x)[:, 0] - data.y).square().mean())
    scores = [(weight * slope).abs() for weight, slope in zip(weights, slopes, strict=True)]
    length = torch.stack([(slope * slope.detach()).sum() for slope in slopes]).sum()
    hessian_gradient = torch.autograd.grad(length, weights)
    # The rows of salience are of half the squared error.
    for mine, found in ((scores, snip(network, evidence)), ([0.5 * s for s in scores], salience(network, evidence))):
        close(tuple(mine), found)
    kept = tuple(weight * product for weight, product in zip(weights, hessian_gradient, strict=True))
    close(kept, grasp(network, evidence))


def test_synflow(network: Network, evidence: Evidence) -> None:
    def flow(net: Network) -> Tensor:
        h = torch.ones(WIDTHS[0]).double()
        for weight in net.weights:
            h = weight.abs() @ h
        return h.sum()

    weights, slopes = of_weights(network, flow)
    ratios = [
        (weight * slope).abs() / score
        for weight, slope, score in zip(weights, slopes, synflow(network, evidence), strict=True)
    ]
    flat = torch.cat([ratio.flatten() for ratio in ratios])
    close(flat, flat[:1].expand_as(flat))


def test_the_quadratic_approximation_is_the_regression(generator: torch.Generator) -> None:
    """Problem (5) with A of per-sample gradients and e = 1 is n (Q_0 + lambda / 2 |w - w dense|^2) + n / 2."""
    dense, ridge = initialise((4, 5, 3), "relu", generator=generator), 0.3
    x, classes = torch.randn(20, 4, generator=generator).double(), torch.randint(0, 3, (20,), generator=generator)
    gradients = []
    for row in range(20):
        here = slice(row, row + 1)
        _, slopes = of_weights(dense, lambda net, here=here: cross_entropy(outputs(net, x[here]), classes[here]))  # type: ignore[misc]
        gradients.append(torch.cat([slope.detach().flatten() for slope in slopes]))
    rows = fisher(dense, Dataset(x=x, y=classes), generator).matrix([weight != 0 for weight in dense.weights])
    close(rows, torch.stack(gradients))
    anchor = torch.cat([weight.flatten() for weight in dense.weights])
    problem = Quadratic(
        rows=rows,
        anchor=anchor,
        residual=torch.ones(20).double(),
        damping=20 * ridge,
        sizes=[weight.numel() for weight in dense.weights],
        priority=torch.zeros_like(anchor),
    )
    w = anchor + 0.1 * torch.randn(len(anchor), generator=generator).double()
    moved, gradient, hessian = w - anchor, rows.mean(dim=0), rows.T @ rows / 20
    talk = gradient @ moved + 0.5 * moved @ hessian @ moved + 0.5 * ridge * moved @ moved
    assert problem.loss(w) == pytest.approx(20 * float(talk) + 10.0, rel=1e-10)
    b = rows @ anchor - 1.0
    close(problem.gradient(w), rows.T @ (rows @ w - b) + 20 * ridge * moved)


def test_sensitivity_is_the_talks_quotient_where_nothing_cancels(generator: torch.Generator) -> None:
    weight, nodes = torch.rand(4, 6, generator=generator).double(), torch.rand(30, 6, generator=generator).double()
    shares = weight * nodes[:, None, :] / (nodes @ weight.T)[:, :, None]
    close(sensitivity(weight, nodes).amax(dim=0), shares.amax(dim=(0, 1)))
