"""NTK-SAP: scores that keep the trace of the neural tangent kernel over random weights and inputs.

    S = |d/dm sum_i || f(z_i; theta_i o m) - f(z_i; (theta_i + D_i) o m) ||^2|,   D_i ~ N(0, eps^2)

with random theta_i and z_i ~ N(0, 1), or of one fixed kernel: theta_i the given weights, z_i the samples. For eps -> 0
it is eps^2 times the derivative of the trace sum_i || m o df(z_i; theta_i o m)/dW ||^2 without noise.

References: Wang, Li & Sun 2023, "NTK-SAP: improving neural network pruning by aligning training dynamics".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pruning.removal.masks import masks_of
from pruning.rows import gauss_newton
from pruning.scores.saliency import Scores
from pruning.stage import Evidence
from surrogate.dataset import Dataset
from surrogate.functions.activations import ACTIVATIONS, ActivationName
from surrogate.functions.network import Network, outputs

# Random inputs of one draw (the batch of the paper's experiments).
INPUTS = 256
# Quadrature nodes; an even number keeps ReLU's step between two of them.
QUADRATURE = 32

# A number that grows with the kernel's trace. Shape: masks out in, per layer; inputs batch input -> scalar.
Discrepancy = Callable[[Network, Scores, Tensor, Evidence], Tensor]


def ntk_sap(network: Network, evidence: Evidence, *, discrepancy: Discrepancy) -> Scores:
    """|d discrepancy / dm|, summed over inputs and weights first; 0 where the mask is 0.

    `INPUTS` random inputs or all samples, ``draws`` times; every ``kernel_sharing`` of them meet new weights, or the
    given ones, with their biases, and a new perturbation. At random inputs and weights the score knows of the given
    weights which are 0, of the samples nothing. But `prune_weights` removes what no sample feels, at the given weights,
    before anything that this ranks.

    Shape: -> out in, per layer.
    """
    masks = tuple(mask.to(network.dtype).requires_grad_() for mask in masks_of(network))
    total = [torch.zeros_like(weight) for weight in network.weights]
    for _ in range(evidence.spec.draws):
        for batch in torch.split(inputs_of(network, evidence), evidence.spec.inputs_per_draw):
            theta = network if evidence.spec.at_given_weights else drawn(network, evidence.generator)
            gradients = torch.autograd.grad(discrepancy(theta, masks, batch, evidence), masks)
            total = [before + gradient for before, gradient in zip(total, gradients, strict=True)]
    return tuple((each * mask.detach()).abs() for each, mask in zip(total, masks, strict=True))


def inputs_of(network: Network, evidence: Evidence) -> Tensor:
    """Where the kernel is taken: the samples, or random normals. Shape: -> batch input."""
    if evidence.spec.at_samples:
        return evidence.dataset.x
    return torch.randn(INPUTS, network.widths[0], generator=evidence.generator, dtype=network.dtype)


def drawn(network: Network, generator: torch.Generator) -> Network:
    """New weights N(0, 1 / (fan_in E phi'(z)^2)), z ~ N(0, 1), phi what the layer reads from; biases 0.

    Derivatives then keep their size through the layers (He et al. 2015 for ReLU): where they shrink, the first layers
    add little to the trace and lose all their weights. A bias would let a node without inputs count.
    """
    weights = []
    for layer, weight in enumerate(network.weights):
        gain = mean_square_slope(network.activation_of(layer)) if layer else 1.0
        noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        weights.append(noise / math.sqrt(gain * weight.shape[1]))
    return replace(network, weights=tuple(weights), biases=tuple(torch.zeros_like(bias) for bias in network.biases))


@cache
def mean_square_slope(activation: ActivationName) -> float:
    """E phi'(z)^2 for z ~ N(0, 1), by Gauss-Hermite quadrature."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    slope = ACTIVATIONS[activation](torch.from_numpy(nodes))[1].numpy()
    return float((slope**2 * shares).sum() / shares.sum())


def perturbed(theta: Network, masks: Scores, inputs: Tensor, evidence: Evidence) -> Tensor:
    """How far a random step moves the outputs: sum_i || f(z_i; theta o m) - f(z_i; (theta + D) o m) ||^2.

    Shape: out in, per layer; batch input -> scalar.
    """
    size, generator = evidence.spec.perturbation, evidence.generator
    steps = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in theta.weights]
    moved = tuple(weight + size * step for weight, step in zip(theta.weights, steps, strict=True))
    here, there = masked(theta, masks), masked(replace(theta, weights=moved), masks)
    return (outputs(here, inputs) - outputs(there, inputs)).square().sum()


def trace(theta: Network, masks: Scores, inputs: Tensor, evidence: Evidence) -> Tensor:
    """sum_i || m o df(z_i; theta o m)/dW ||^2, the kernel's trace; the square of an outer product is one too.

    Shape: out in, per layer; batch input -> scalar.
    """
    labels = inputs.new_zeros(len(inputs), theta.widths[-1])
    rows = gauss_newton(masked(theta, masks), Dataset(x=inputs, y=labels), evidence.generator)
    squares = replace(
        rows, left=tuple(left.square() for left in rows.left), right=tuple(right.square() for right in rows.right)
    ).combine(torch.ones_like(rows.residual))
    return torch.stack([(mask.square() * each).sum() for mask, each in zip(masks, squares, strict=True)]).sum()


def masked(theta: Network, masks: Scores) -> Network:
    """theta o m, differentiable in both. Shape: out in, per layer ->."""
    return replace(theta, weights=tuple(weight * mask for weight, mask in zip(theta.weights, masks, strict=True)))
