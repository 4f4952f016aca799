"""Empirical sensitivity: the largest share of a pre-activation that a weight carries on any sample.

W and the nodes h below it are split by sign, so that every sum has terms of one sign and no cancellation:

    g_ij(x) = |w_ij| h_j(x) / sum over k of |w_ik| h_k(x),    k as sign(w_ik) = sign(w_ij), h the positive part of h(x)
    s_ij    = max over samples and over both parts of h of g_ij

Over the j of one row and sign the g add up to 1, so s is in [0, 1] and adds up to at least 1. Biases take no part.

References: Baykal, Liebenwein, Gilitschenski, Feldman & Rus, "Data-dependent coresets for compressing neural networks"
(ICLR 2019) and "Sensitivity-informed provable pruning of neural networks" (SIAM J. Math. Data Sci. 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.stage import Evidence
from surrogate.functions.network import Network, forward

# Shares held at once, 2 MB: what a core keeps in its cache.
ENTRIES = 1 << 18
# A share this large is the whole: weights alone in their row and sign tie, whatever rounding makes of w h / (w h).
ALL = 1.0 - 1e-12
# The assumed ratio between the largest share on any input and the largest on the samples (Baykal et al. 2022).
SPREAD = 3.0
# Probability with which an error bound may fail (Liebenwein et al., torchprune).
FAILURE = 1e-16


def sensitivity(weight: Tensor, nodes: Tensor) -> Tensor:
    """s of one layer. Shape: out in, batch in -> out in."""
    signed = torch.cat([nodes.clamp(min=0.0), -nodes.clamp(max=0.0)])
    signed = signed[signed.any(dim=1)]
    shares = _largest(signed, weight.clamp(min=0.0)) + _largest(signed, -weight.clamp(max=0.0))
    return shares.where(shares < ALL, 1.0)


def _largest(nodes: Tensor, weight: Tensor) -> Tensor:
    """max over the batch of w_ij h_j / (W h)_i, nothing negative. Shape: batch in, out in -> out in."""
    sums = nodes @ weight.T
    inverse = torch.where(sums > torch.finfo(sums.dtype).tiny, 1.0 / sums, 0.0)
    largest, step = torch.zeros_like(weight), max(1, ENTRIES // weight.numel())
    for start in range(0, len(nodes), step):
        chunk = slice(start, start + step)
        shares = nodes[chunk, None, :] * inverse[chunk, :, None]
        largest = torch.maximum(largest, shares.amax(dim=0))
    return weight * largest


def sensitivities(network: Network, evidence: Evidence) -> tuple[Tensor, ...]:
    """s of every layer of a network in normalised units. Shape: -> out in, per layer."""
    _, hidden = forward(network, evidence.dataset.x)
    nodes = (evidence.dataset.x, *(phi[0] for phi in hidden))
    return tuple(sensitivity(weight, below) for weight, below in zip(network.weights, nodes, strict=True))


def needed(total: Tensor, failure: float = FAILURE) -> Tensor:
    """a = 2 C log(16 / delta) S: draws grow with it, S the sum of the sensitivities drawn from. Shape: any -> same."""
    return 2.0 * SPREAD * torch.log(torch.as_tensor(16.0 / failure, dtype=total.dtype)) * total
