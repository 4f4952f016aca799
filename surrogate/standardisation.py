"""Standardisation of features and values, an affine map, folded into the weights when training is over.

x~ = (x - mu_x) / sigma_x,   y~ = (y - mu_y) / sigma_y,
g~ = g sigma_x / sigma_y,    H~_jk = H_jk sigma_xj sigma_xk / sigma_y
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from surrogate.functions.network import Network

# The standard deviation of equal numbers is rounding noise of up to this share of them, not 0.
CONSTANT = 1e-12


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Means and standard deviations. Shape: x parts (feature,); y parts () or, for several outputs, (output,)."""

    x_mean: Tensor
    x_scale: Tensor
    y_mean: Tensor
    y_scale: Tensor


def fit_standardisation(x: Tensor, y: Tensor) -> Standardisation:
    """Mean and standard deviation of each coordinate and of the values; a constant column scales by 1.

    Class labels (integers) leave the outputs as they are.

    Shape: batch feature, batch or batch output ->.
    """
    if not y.is_floating_point():
        zero = x.new_zeros(())
        return Standardisation(x_mean=x.mean(dim=0), x_scale=_spread(x), y_mean=zero, y_scale=zero + 1.0)
    return Standardisation(x_mean=x.mean(dim=0), x_scale=_spread(x), y_mean=y.mean(dim=0), y_scale=_spread(y))


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the batch, 1 where it is noise. Shape: batch ... -> ..."""
    spread = values.std(dim=0, correction=0)
    return spread.where(spread > CONSTANT * values.abs().amax(dim=0), spread.new_ones(()))


def to_raw(network: Network, standardisation: Standardisation) -> Network:
    """The same function in raw units, the standardisation folded into the outer layers."""
    first = network.weights[0] / standardisation.x_scale
    weights = (first, *network.weights[1:])
    biases = (network.biases[0] - first @ standardisation.x_mean, *network.biases[1:])
    return replace(
        network,
        weights=(*weights[:-1], weights[-1] * standardisation.y_scale.reshape(-1, 1)),
        biases=(*biases[:-1], biases[-1] * standardisation.y_scale + standardisation.y_mean),
    )


def to_normalised(network: Network, standardisation: Standardisation) -> Network:
    """Inverse of `to_raw`."""
    biases = (network.biases[0] + network.weights[0] @ standardisation.x_mean, *network.biases[1:])
    weights = (network.weights[0] * standardisation.x_scale, *network.weights[1:])
    return replace(
        network,
        weights=(*weights[:-1], weights[-1] / standardisation.y_scale.reshape(-1, 1)),
        biases=(*biases[:-1], (biases[-1] - standardisation.y_mean) / standardisation.y_scale),
    )
