"""A multilayer perceptron as a value, with value, gradient and Hessian as explicit sweeps of plain operations.

    forward   a_l = h_{l-1} W_l^T + b_l,  h_l = phi(a_l)          y = h_L W^T + b
    adjoint   q_L = W,  q_{l-1} = (q_l o phi'(a_l)) W_l            dy/dx = q_0
    tangent   J_1 = W_1,  J_{l+1} = W_{l+1} (phi'(a_l) o J_l)
    Hessian   d2y/dx2 = sum_l J_l^T diag(q_l o phi''(a_l)) J_l

The same recurrences are exported node by node (`surrogate.export.network_graph`): graph and network agree to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from surrogate.functions.activations import ACTIVATIONS, ActivationName, Derivatives


@dataclass(frozen=True, kw_only=True)
class Network:
    """Weights and biases of an MLP; ``activation`` follows every layer but the last and those in ``linear``.

    Args:
        linear: hidden layers (1 is the first) that nothing follows: the inner factors of low-rank layers.

    Shape: weights[l] is (out, in), biases[l] is (out,).
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    activation: ActivationName
    linear: frozenset[int] = frozenset()

    def activation_of(self, layer: int) -> ActivationName:
        """What follows hidden layer ``layer``, 1 the first."""
        return "identity" if layer in self.linear else self.activation

    @property
    def widths(self) -> tuple[int, ...]:
        """(inputs, hidden..., outputs)."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @property
    def dtype(self) -> torch.dtype:
        """Element type of the parameters."""
        return self.weights[0].dtype

    @property
    def parameters(self) -> int:
        """Number of weights and biases that are not exactly zero."""
        return int(sum(torch.count_nonzero(t).item() for t in (*self.weights, *self.biases)))

    def to(self, dtype: torch.dtype) -> Network:
        """The same network with parameters of another element type."""
        return replace(
            self, weights=tuple(w.to(dtype) for w in self.weights), biases=tuple(b.to(dtype) for b in self.biases)
        )


def initialise(
    widths: Sequence[int], activation: ActivationName, *, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> Network:
    """A random network: weights N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010), biases N(0, 1/4) on hidden layers.

    Spread biases place the bends of a narrow network over the data; the output bias is zero.
    """
    weights, biases = [], []
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        scale = math.sqrt(2.0 / (fan_in + fan_out))
        weights.append(scale * torch.randn(fan_out, fan_in, generator=generator, dtype=dtype))
        bias = torch.randn(fan_out, generator=generator, dtype=dtype)
        biases.append(0.5 * bias if layer < len(widths) - 1 else torch.zeros_like(bias))
    return Network(weights=tuple(weights), biases=tuple(biases), activation=activation)


def flatten(network: Network) -> Tensor:
    """All parameters in one vector: W_1, b_1, W_2, b_2, ... Shape: -> parameter."""
    return torch.cat(
        [tensor.reshape(-1) for pair in zip(network.weights, network.biases, strict=True) for tensor in pair]
    )


def unflatten(network: Network, vector: Tensor) -> Network:
    """A network of the same shape from a parameter vector (views, differentiable). Shape: parameter ->."""
    weights, biases, start = [], [], 0
    for weight, bias in zip(network.weights, network.biases, strict=True):
        weights.append(vector[start : start + weight.numel()].view_as(weight))
        start += weight.numel()
        biases.append(vector[start : start + bias.numel()])
        start += bias.numel()
    return replace(network, weights=tuple(weights), biases=tuple(biases))


def forward(network: Network, x: Tensor) -> tuple[Tensor, list[Derivatives]]:
    """Outputs and, per hidden layer, phi and its derivatives there. Shape: batch input -> batch output."""
    h, hidden = x, []
    for layer, (weight, bias) in enumerate(zip(network.weights[:-1], network.biases[:-1], strict=True), start=1):
        hidden.append(ACTIVATIONS[network.activation_of(layer)](h @ weight.T + bias))
        h = hidden[-1][0]
    return h @ network.weights[-1].T + network.biases[-1], hidden


def outputs(network: Network, x: Tensor) -> Tensor:
    """All outputs, whatever their number. Shape: batch input -> batch output."""
    return forward(network, x)[0]


def value(network: Network, x: Tensor) -> Tensor:
    """The single output. Shape: batch input -> batch."""
    return forward(network, x)[0][:, 0]


def adjoints(network: Network, hidden: Sequence[Derivatives]) -> list[Tensor]:
    """dy/dx and dy/dh_l for every hidden layer l: q_0, q_1, ..., q_L. Shape: each batch width."""
    batch = hidden[0][0].shape[0] if hidden else 1
    sweep = [network.weights[-1].expand(batch, -1)]
    for weight, (_, slope, _, _) in zip(reversed(network.weights[:-1]), reversed(hidden), strict=True):
        sweep.append((sweep[-1] * slope) @ weight)
    return sweep[::-1]


def value_and_gradient(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """y and dy/dx. Shape: batch input -> batch; batch input."""
    y, hidden = forward(network, x)
    return y[:, 0], adjoints(network, hidden)[0].expand_as(x)


def outputs_and_pullbacks(network: Network, x: Tensor, cotangents: Tensor) -> tuple[Tensor, Tensor]:
    """All outputs and v^T dy/dx for several cotangents v a sample, by an adjoint sweep that starts at v.

    Shape: batch input, batch probe output -> batch output; batch probe input.
    """
    y, hidden = forward(network, x)
    q = cotangents @ network.weights[-1]
    for weight, (_, slope, _, _) in zip(reversed(network.weights[:-1]), reversed(hidden), strict=True):
        q = (q * slope[:, None, :]) @ weight
    return y, q


def hessian_vector(network: Network, x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, dy/dx and H v for several directions v a sample, by a tangent sweep through the adjoint sweep.

    Shape: batch input, batch direction input -> batch; batch input; batch direction input.
    """
    y, hidden = forward(network, x)
    q = adjoints(network, hidden)
    tangents, tangent = [], directions @ network.weights[0].T
    for weight, (_, slope, _, _) in zip(network.weights[1:-1], hidden[:-1], strict=True):
        tangents.append(tangent)
        tangent = (tangent * slope[:, None, :]) @ weight.T
    tangents.append(tangent)
    product = torch.zeros_like(tangent)
    for layer in range(len(hidden) - 1, -1, -1):
        _, slope, bend, _ = hidden[layer]
        product = (product * slope[:, None, :] + (q[layer + 1] * bend)[:, None, :] * tangents[layer]) @ (
            network.weights[layer]
        )
    return y[:, 0], q[0].expand_as(x), product


def value_gradient_hessian(network: Network, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, dy/dx and d2y/dx2. Shape: batch input -> batch; batch input; batch input input."""
    y, hidden = forward(network, x)
    q = adjoints(network, hidden)
    hessian = x.new_zeros(x.shape[0], x.shape[1], x.shape[1])
    tangent = network.weights[0].expand(x.shape[0], -1, -1)
    for layer, (_, slope, bend, _) in enumerate(hidden):
        hessian = hessian + tangent.transpose(1, 2) @ ((q[layer + 1] * bend)[:, :, None] * tangent)
        if layer + 1 < len(hidden):
            tangent = network.weights[layer + 1] @ (slope[:, :, None] * tangent)
    return y[:, 0], q[0].expand_as(x), hessian
