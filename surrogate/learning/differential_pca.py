"""The few directions of feature space along which values change, found from delta labels (Huge & Savine, 2021).

With g the gradient in the units of the Sobolev loss, every delta's root mean square (x has the inverse units), and
M = E[g g^T] = A diag(m) A^T, P the k leading columns of A:

    f(x) ~ phi(P^T x),   what is left out of the gradients is sum_{j > k} m_j / sum_j m_j of their second moment,

and |P^T (g^ - g)|^2 is what the loss of a network on x would see of it: the axes are trained in equal units, since the
smallest are the noisiest. Noise in the delta labels is in M too: with one path a sample as many axes as features are
kept where the noise has other directions than the deltas, as under Black-Scholes and not under Bachelier; then say how
many. M is not centred: an axis along which values are steep but straight matters too, unlike in the PCA of the
features. A network on P^T x is one on x whose first layer is W_1 P^T, so that nothing after training is different.

References: Huge & Savine (2021), "Axes that matter: PCA with a difference"; Chen (1982) for the bound on the value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pricing.draws import principal_axes
from surrogate.dataset import Dataset, normalise
from surrogate.errors import SurrogateError
from surrogate.functions.network import Network
from surrogate.report.sources import AxesFacts
from surrogate.spec import NetworkSpec, PolynomialSpec, require_axes
from surrogate.standardisation import Standardisation, fit_standardisation, to_normalised, to_raw


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The axes of a dataset and what is lost by keeping only those.

    Args:
        matrix: P. Shape: feature axis.
        standardisation: from raw features to those in the units of the loss.
        lost_gradient: share of the gradients' second moment outside the axes, label noise included.
        lost_value: tr(C M'), with M' the moments of the gradients outside the axes and C the covariance of the features
            there, given those along the axes. If the features are normal it bounds E (f - E[f | P^T x])^2 / Var f by
            Chernoff's inequality; noise in the labels only raises it.
    """

    matrix: Tensor
    standardisation: Standardisation
    lost_gradient: float
    lost_value: float

    def __len__(self) -> int:
        return self.matrix.shape[1]

    @property
    def facts(self) -> AxesFacts:
        """What a report says of them."""
        return AxesFacts(count=len(self), lost_gradient=self.lost_gradient, lost_value=self.lost_value)


def find_axes(dataset: Dataset, spec: NetworkSpec | PolynomialSpec) -> Axes:
    """As many axes as the spec says, or the fewest that lose at most ``spec.lost_gradient``.

    Raises:
        SurrogateError: the dataset has no delta labels.
        InvalidSpec: fewer features than axes are asked for.
    """
    if dataset.gradient is None:
        raise SurrogateError("inputs = 'differential_pca' needs delta labels; make labels of order 1 or use 'features'")
    require_axes(spec.axes, dataset.x.shape[1])
    standardisation = loss_standardisation(dataset)
    normalised = normalise(dataset, standardisation)
    assert normalised.gradient is not None
    root = 1.0 if normalised.weight is None else normalised.weight.sqrt()[:, None]
    gradient = normalised.gradient * root
    axes = torch.from_numpy(principal_axes(gradient.double().numpy())).to(dataset.x.dtype)
    moments = axes.T @ (gradient.T @ gradient / len(dataset)) @ axes
    beyond = moments.diagonal().flip(0).cumsum(0).flip(0)  # sum_{j >= k} m_j, k = 0, 1, ...
    share = torch.cat([beyond, beyond.new_zeros(1)]) / beyond[0].clamp(min=torch.finfo(beyond.dtype).tiny)
    count = spec.axes or max(1, int((share > spec.lost_gradient).sum()))
    return Axes(
        matrix=axes[:, :count],
        standardisation=standardisation,
        lost_gradient=float(share[count].clamp(min=0.0)),
        lost_value=value_bound(normalised.x @ axes, moments, count),
    )


def loss_standardisation(dataset: Dataset) -> Standardisation:
    """Brings every delta to a root mean square of 1; a feature without influence keeps its own deviation."""
    standardisation = fit_standardisation(dataset.x, dataset.y)
    assert dataset.gradient is not None
    size = dataset.gradient.square().mean(dim=0).sqrt() / standardisation.y_scale
    return replace(standardisation, x_scale=torch.where(size > 0.0, 1.0 / size, standardisation.x_scale))


def value_bound(coordinates: Tensor, moments: Tensor, count: int) -> float:
    """tr(C M') of `Axes`, C by the Schur complement of the covariance. Shape: coordinates batch axis."""
    centred = coordinates - coordinates.mean(dim=0)
    covariance = centred.T @ centred / len(centred)
    kept, across, rest = covariance[:count, :count], covariance[:count, count:], covariance[count:, count:]
    given = rest - across.T @ torch.linalg.pinv(kept, hermitian=True) @ across
    return float((given * moments[count:, count:]).sum().clamp(min=0.0))


def project(dataset: Dataset, axes: Axes) -> Dataset:
    """Normalised samples as functions of u = P^T x: df/du = P^T df/dx, and P^T H v = H_u (P^T v) if f(x) = phi(u)."""
    data = normalise(dataset, axes.standardisation)
    return replace(
        data,
        x=data.x @ axes.matrix,
        gradient=None if data.gradient is None else data.gradient @ axes.matrix,
        directions=None if data.directions is None else data.directions @ axes.matrix,
        curvature=None if data.curvature is None else data.curvature @ axes.matrix,
    )


def lift(network: Network, axes: Axes) -> Network:
    """The same function of the raw features, with values in raw units.

    The axes are multiplied into the first layer, or put before it as a layer without activation where that has fewer
    parameters.
    """
    first = network.weights[0]
    features, count = axes.matrix.shape
    if count * (features + len(first) + 1) < len(first) * features:
        whole = replace(
            network,
            weights=(axes.matrix.T, *network.weights),
            biases=(first.new_zeros(count), *network.biases),
            linear=frozenset({1, *(layer + 1 for layer in network.linear)}),
        )
    else:
        whole = replace(network, weights=(first @ axes.matrix.T, *network.weights[1:]))
    return to_raw(whole, axes.standardisation)


def restrict(network: Network, axes: Axes) -> Network:
    """The network of the axes' coordinates that a lifted one is: W_1 P of its first layer, as `lift` makes W_1 P^T.

    A first layer without activation is multiplied into the one after it. Of a network that was lifted from other axes
    what it does outside these is lost.
    """
    if 1 in network.linear:
        (first, second, *weights), (inner, outer, *biases) = network.weights, network.biases
        network = replace(
            network,
            weights=(second @ first, *weights),
            biases=(second @ inner + outer, *biases),
            linear=frozenset(layer - 1 for layer in network.linear if layer > 1),
        )
    seen = to_normalised(network, axes.standardisation)
    return replace(seen, weights=(seen.weights[0] @ axes.matrix, *seen.weights[1:]))
