"""How accurate every layer must be for the outputs to be right to a share eps but with a chance of delta.

    P(f^(x) in (1 ± eps) f(x)) >= 1 - delta    if layer l is right to    eps_l = eps / (2 L D_l),   D_l = prod_k>=l d_k

for L layers that are sampled. d_k, the propagation complexity, is what relative errors below layer k grow by in it:

    d_k = max_i mean_n  kappa_i(x_n) sum_j |w_ij h_j(x_n)| / |z_i(x_n)|,     kappa = |z phi'(z) / phi(z)|, 1 for ReLU,

z with its bias, the mean over the samples as in the first of the papers, without the constant that they add for its
error. kappa, and with it every activation but ReLU, is ours, to first order. eps_l asks for as many draws as the bounds
of `pruning.layerwise.pfp` and `pruning.layerwise.sipp` say, at a failure of delta over all rows of the network.

References: Baykal, Liebenwein, Gilitschenski, Feldman & Rus, "Data-dependent coresets for compressing neural networks"
(ICLR 2019), theorem 4; Liebenwein, Baykal, Lang, Feldman & Rus, "Provable filter pruning for efficient neural networks"
(ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.stage import Evidence
from surrogate.functions.network import Network, forward, outputs


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised, and what it takes.

    Args:
        accuracies: eps_l of every layer of weights, the first reads the inputs.
        failure: delta of one row of weights of one sign.
        propagation: D_l of every layer of weights.
    """

    accuracies: tuple[float, ...]
    failure: float
    propagation: tuple[float, ...]


def guarantee(network: Network, evidence: Evidence, *, sampled: int) -> Guarantee | None:
    """What the specification promises, for a network in normalised units; None where it promises nothing.

    Args:
        sampled: how many layers are cut; errors of the others are 0.
    """
    promise = evidence.spec.promise
    if promise is None:
        return None
    error, failure = promise
    steps = complexities(network, evidence.dataset.x)
    products = torch.tensor(steps[::-1], dtype=torch.float64).cumprod(dim=0).flip(0).tolist()
    rows = sum(network.widths[1:])
    return Guarantee(
        accuracies=tuple(error / (2.0 * max(1, sampled) * product) for product in products),
        failure=failure / rows,
        propagation=tuple(products),
    )


def complexities(network: Network, x: Tensor) -> list[float]:
    """d_k of every layer of weights, at least 1. Shape: batch input ->."""
    y, hidden = forward(network, x)
    below = [x, *(phi[0] for phi in hidden)]
    steps = []
    for layer, (weight, bias, nodes) in enumerate(zip(network.weights, network.biases, below, strict=True)):
        sums = nodes @ weight.T + bias
        parts = nodes.abs() @ weight.abs().T
        bend = torch.ones_like(y) if layer == len(hidden) else _condition(sums, hidden[layer])
        steps.append(max(1.0, float((bend * _over(parts, sums)).mean(dim=0).max())))
    return steps


def _condition(sums: Tensor, phi: Sequence[Tensor]) -> Tensor:
    """|z phi'(z) / phi(z)|, how a relative error passes the activation. Shape: batch width -> same."""
    return _over((sums * phi[1]).abs(), phi[0])


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """part / |whole|, 0 where nothing is there to err. Shape: any, any -> same."""
    tiny = torch.finfo(part.dtype).tiny
    return torch.where(part > 0, part / whole.abs().clamp(min=tiny), 0.0)


def relative_errors(network: Network, other: Network, x: Tensor) -> Tensor:
    """max_i |f^_i(x) - f_i(x)| / |f_i(x)|, what a promise is about. Shape: batch input -> batch."""
    exact = outputs(network, x)
    return _over((outputs(other, x) - exact).abs(), exact).amax(dim=1)
