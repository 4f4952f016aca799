from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from pricing.specs.base import dump
from pruning.removal.masks import masks_of
from pruning.removal.rounds import prune_in_rounds
from pruning.removal.weights import prune_weights
from pruning.scores.ntk_sap import (
    INPUTS,
    Discrepancy,
    drawn,
    masked,
    mean_square_slope,
    ntk_sap,
    perturbed,
    trace,
)
from pruning.spec import PERTURBATION, PruningSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, flatten, forward, initialise, outputs, unflatten

# Standard errors of an average that a statement about it may be off by.
ERRORS = 4.0


@pytest.fixture
def evidence(evidence_of: Callable[..., Evidence], generator: torch.Generator) -> Evidence:
    x = torch.rand(2048, 4, generator=generator, dtype=torch.float64)
    return evidence_of(Dataset(x=x, y=x.sum(dim=1)), generator=generator)


def ones(network: Network) -> tuple[Tensor, ...]:
    return tuple(torch.ones_like(weight, requires_grad=True) for weight in network.weights)


def test_the_trace_is_that_of_the_neural_tangent_kernel(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((3, 5, 4, 2), "tanh", generator=generator)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    masks = tuple((torch.rand(w.shape, generator=generator) < 0.7).double() for w in network.weights)
    pruned = masked(network, masks)
    jacobian = torch.func.jacrev(lambda theta: outputs(unflatten(pruned, theta), x))(flatten(pruned))
    parts = [unflatten(pruned, row).weights for row in jacobian.reshape(-1, jacobian.shape[-1])]
    expected = sum(float((m * block).square().sum()) for row in parts for m, block in zip(masks, row, strict=True))
    assert float(trace(network, masks, x, evidence)) == pytest.approx(expected, rel=1e-12)


def test_a_linear_model_is_scored_by_its_inputs_alone(evidence: Evidence, generator: torch.Generator) -> None:
    # f = W x: the trace is sum x_j^2 m_j^2 whatever W is.
    x = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    gradients = []
    for scale in (1.0, 30.0):
        network = initialise((4, 1), "tanh", generator=generator)
        network = replace(network, weights=(scale * network.weights[0],))
        masks = ones(network)
        (gradient,) = torch.autograd.grad(trace(network, masks, x, evidence), masks)
        gradients.append(gradient)
        torch.testing.assert_close(gradient[0], 2.0 * x.square().sum(dim=0))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_linear_model_has_equal_scores(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((4, 1), "tanh", generator=generator)
    (exact,) = ntk_sap(network, evidence, discrepancy=trace)
    # x_j^2 has variance 2.
    assert float((exact / exact.mean() - 1.0).abs().max()) < ERRORS * (2.0 / INPUTS) ** 0.5
    repeated = replace(evidence, spec=PruningSpec(method="ntk_sap", sparsity=0.5, draws=80))
    (noisy,) = ntk_sap(network, repeated, discrepancy=perturbed)
    # 320 draws of D meet 64 inputs each; D_j^2 has variance 2, twice that with the products D_j D_k and the inputs.
    assert float((noisy / (PERTURBATION**2 * 10 * 2 * 2048) - 1.0).abs().max()) < ERRORS * (4.0 / 320) ** 0.5


def test_perturbations_average_to_the_trace(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((3, 6, 1), "tanh", generator=generator)
    x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    masks = ones(network)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(trace(network, masks, x, evidence), masks)])
    total = torch.stack([perturbed(network, masks, x, evidence) for _ in range(3000)]).mean()
    mean = torch.cat([g.flatten() for g in torch.autograd.grad(total, masks)])
    assert float(torch.nn.functional.cosine_similarity(mean, exact, dim=0)) > 0.99
    assert float(mean.norm()) == pytest.approx(PERTURBATION**2 * float(exact.norm()), rel=0.1)


@pytest.mark.parametrize("discrepancy", [perturbed, trace])
def test_pruned_weights_score_zero_and_so_do_those_of_an_input_that_is_zero(
    discrepancy: Discrepancy, evidence: Evidence, generator: torch.Generator
) -> None:
    network = initialise((4, 6, 1), "tanh", generator=generator)
    first = network.weights[0].clone()
    first[:3, 1] = 0.0
    network = replace(network, weights=(first, network.weights[1]))
    scores = ntk_sap(network, evidence, discrepancy=discrepancy)
    assert all(torch.equal(score > 0, mask) for score, mask in zip(scores, masks_of(network), strict=True))
    x = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    x[:, 2] = 0.0
    masks = ones(network)
    gradient, _ = torch.autograd.grad(discrepancy(network, masks, x, evidence), masks)
    assert (gradient[:, 2] == 0.0).all()
    assert (gradient[:, 3] != 0.0).all()


def test_the_given_weights_do_not_matter(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((4, 6, 2), "silu", generator=generator)
    other = replace(network, weights=tuple(-5.0 * weight for weight in network.weights))
    one, two = (
        ntk_sap(given, replace(evidence, generator=torch.Generator().manual_seed(3)), discrepancy=trace)
        for given in (network, other)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_one_fixed_kernel_is_scored_at_the_given_weights_and_the_samples(
    evidence: Evidence, generator: torch.Generator
) -> None:
    """S of the first formula: |d/dm sum_n || f(x_n; w o m) - f(x_n; (w + D) o m) ||^2|, in expectation the trace's."""
    network = initialise((4, 6, 2), "silu", generator=generator)
    spec = PruningSpec(method="ntk_sap", sparsity=0.5, kernel_inputs="data", kernel_weights="given", draws=600)
    given = replace(evidence, spec=spec, dataset=evidence.dataset.rows(slice(50)))
    masks = ones(network)
    gradients = torch.autograd.grad(trace(network, masks, given.dataset.x, evidence), masks)
    once = replace(given, spec=PruningSpec(**{**dump(spec), "draws": 1}))
    for score, gradient in zip(ntk_sap(network, once, discrepancy=trace), gradients, strict=True):
        torch.testing.assert_close(score, gradient.abs())
    noisy = torch.cat([score.flatten() for score in ntk_sap(network, given, discrepancy=perturbed)])
    exact = torch.cat([gradient.abs().flatten() for gradient in gradients])
    assert float(torch.nn.functional.cosine_similarity(noisy, exact, dim=0)) > 0.99
    assert float(noisy.norm()) == pytest.approx(600 * PERTURBATION**2 * float(exact.norm()), rel=0.1)


def test_the_perturbation_scales_the_score_and_not_its_order(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((4, 6, 1), "tanh", generator=generator)
    sizes = (0.01, 0.02)
    one, two = (
        ntk_sap(
            network,
            replace(
                evidence,
                spec=PruningSpec(method="ntk_sap", sparsity=0.5, epsilon=size),
                generator=torch.Generator().manual_seed(3),
            ),
            discrepancy=perturbed,
        )
        for size in sizes
    )
    for small, large in zip(one, two, strict=True):
        torch.testing.assert_close(large, 4.0 * small, rtol=0.1, atol=0.05 * float(large.max()))


@pytest.mark.parametrize(("sharing", "batches"), [(1, 256), (100, 3), (256, 1), (1000, 1)])
def test_so_many_inputs_share_weights(sharing: int, batches: int, evidence: Evidence) -> None:
    seen = list[Network]()

    def counted(theta: Network, masks: tuple[Tensor, ...], inputs: Tensor, evidence: Evidence) -> Tensor:
        seen.append(theta)
        return trace(theta, masks, inputs, evidence)

    network = initialise((4, 3, 1), "tanh", generator=evidence.generator)
    spec = PruningSpec(method="ntk_sap", sparsity=0.5, kernel_sharing=sharing)
    ntk_sap(network, replace(evidence, spec=spec), discrepancy=counted)
    assert len(seen) == batches
    assert len({float(theta.weights[0][0, 0]) for theta in seen}) == batches


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "softplus"])
def test_the_mean_square_slope_is_an_expectation(activation: ActivationName, generator: torch.Generator) -> None:
    wide = Network(
        weights=(torch.ones(1, 1, dtype=torch.float64),) * 2,
        biases=(torch.zeros(1, dtype=torch.float64),) * 2,
        activation=activation,
    )
    squares = forward(wide, torch.randn(40_000, 1, generator=generator, dtype=torch.float64))[1][0][1].square()
    error = float(squares.std()) / 200.0
    assert abs(float(squares.mean()) - mean_square_slope(activation)) < ERRORS * error


def test_new_weights_keep_the_size_of_derivatives(evidence: Evidence, generator: torch.Generator) -> None:
    network = drawn(initialise((7, *[256] * 6, 1), "relu", generator=generator), generator)
    x = torch.randn(200, 7, generator=generator, dtype=torch.float64)
    masks = ones(network)
    shares = [layer.sum() for layer in torch.autograd.grad(trace(network, masks, x, evidence), masks)]
    # Every layer's share of the trace is the squared length of its inputs times that of its derivatives.
    assert max(shares[1:]) < 4.0 * min(shares[1:])


@pytest.mark.parametrize("discrepancy", [perturbed, trace])
@pytest.mark.parametrize("activation", ["silu", "relu"])
def test_a_path_is_left_at_two_percent(
    discrepancy: Discrepancy, activation: ActivationName, evidence: Evidence, generator: torch.Generator
) -> None:
    network = initialise((4, 64, 64, 64, 1), activation, generator=generator)
    count = size(network, "weights") // 50
    given = replace(evidence, dataset=evidence.dataset.rows(slice(0, 256)))
    step = partial(prune_weights, score=partial(ntk_sap, discrepancy=discrepancy))
    cut = prune_in_rounds(network, Budget(unit="weights", count=count), given, step=step, rounds=20).network
    assert size(cut, "weights") == count
    assert min(int(weight.count_nonzero()) for weight in cut.weights) > 10
