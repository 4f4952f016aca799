"""The Sobolev loss as per-sample residual rows, so that one definition serves every optimiser.

    L(theta) = mean_n |r_n|^2
    r_n = ( sqrt(a) (y^ - y),  sqrt(b / d) lambda_j (g^_j - g_j),  sqrt(c / (K d)) lambda_H (H^ v_k - H v_k) )

in normalised units, with lambda_j = 1 / rms(g_j), lambda_H = 1 / rms(H v) and (a, b, c) proportional to
(1, lambda d, eta d), their sum 1 (Huge & Savine 2020, "Differential machine learning"; the third term after Kichler,
Afghan & Naumann 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from surrogate.dataset import FIELDS, Dataset
from surrogate.errors import SurrogateError
from surrogate.network import Network, flatten, hessian_vector, outputs, unflatten, value_and_gradient
from surrogate.spec import SobolevLoss


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Multipliers of the residuals. Shape: value scalar, gradient (feature,), curvature scalar."""

    order: int
    value: float
    gradient: Tensor
    curvature: Tensor


def loss_weights(dataset: Dataset, loss: SobolevLoss) -> LossWeights:
    """Multipliers that give every term of the loss its share, for a dataset in normalised units.

    Raises:
        SurrogateError: the loss needs labels that the dataset does not hold.
    """
    if loss.order >= 1 and (dataset.has_classes or dataset.y.ndim > 1):
        raise SurrogateError("a network of several outputs is trained on values alone; ask for a loss of order 0")
    if loss.order >= 1 and dataset.gradient is None:
        raise SurrogateError("a loss of order 1 needs delta labels; make labels of order 1 or ask for order 0")
    if loss.order >= 2 and dataset.curvature is None:
        raise SurrogateError("a loss of order 2 needs curvature labels; make labels of order 2 or ask for order 1")
    d = dataset.x.shape[1]
    shares = (1.0, loss.delta_weight * d * (loss.order >= 1), loss.curvature_weight * d * (loss.order >= 2))
    a, b, c = (share / sum(shares) for share in shares)
    zero = dataset.x.new_zeros(())
    gradient, curvature = zero.expand(d), zero
    if loss.order >= 1 and dataset.gradient is not None:
        gradient = math.sqrt(b / d) * _inverse(dataset.gradient.square().mean(dim=0).sqrt())
    if loss.order >= 2 and dataset.curvature is not None:
        directions = dataset.curvature.shape[1]
        curvature = math.sqrt(c / (directions * d)) * _inverse(dataset.curvature.square().mean().sqrt())
    return LossWeights(order=loss.order, value=math.sqrt(a), gradient=gradient, curvature=curvature)


def _inverse(scale: Tensor) -> Tensor:
    """1 / scale, and 1 where the scale is 0: a label that is always 0 keeps its unit."""
    return 1.0 / scale.where(scale > 0, scale.new_ones(()))


def residuals(network: Network, batch: Dataset, weights: LossWeights) -> Tensor:
    """Residual rows r_n. Shape: -> batch (1 + feature + direction * feature), by order; batch output for several.

    Raises:
        SurrogateError: class labels, which have no residuals.
    """
    if batch.has_classes:
        raise SurrogateError("class labels have no residuals; train with adam or lbfgs")
    if weights.order == 0:
        y = outputs(network, batch.x)
        return weights.value * (y - batch.y.reshape(len(y), -1))
    assert batch.gradient is not None
    if weights.order == 1:
        y, gradient = value_and_gradient(network, batch.x)
        return torch.cat(
            [weights.value * (y - batch.y)[:, None], weights.gradient * (gradient - batch.gradient)], dim=1
        )
    assert batch.directions is not None
    assert batch.curvature is not None
    y, gradient, product = hessian_vector(network, batch.x, batch.directions)
    parts = [
        weights.value * (y - batch.y)[:, None],
        weights.gradient * (gradient - batch.gradient),
        (weights.curvature * (product - batch.curvature)).flatten(start_dim=1),
    ]
    return torch.cat(parts, dim=1)


class Differentiable(Protocol):
    """What a first-order optimiser needs: a mean loss over samples, in any precision."""

    def __len__(self) -> int:
        """Number of samples."""

    def loss(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Mean loss of some samples. Shape: free -> scalar."""

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another precision."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What an optimiser minimises: the loss as a function of the trainable coordinates of the parameter vector.

    ``free`` indexes `surrogate.network.flatten`; the other coordinates keep the values they have in ``network``.
    """

    network: Network
    dataset: Dataset
    weights: LossWeights
    free: Tensor

    def __len__(self) -> int:
        return len(self.dataset)

    def start(self) -> Tensor:
        """The network's own trainable coordinates. Shape: -> free."""
        return flatten(self.network)[self.free]

    def at(self, theta: Tensor) -> Network:
        """The network with these trainable coordinates; differentiable. Shape: free ->."""
        return with_coordinates(self.network, self.free, theta)

    def residuals(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Residual rows of some samples. Shape: free -> batch residual."""
        return residuals(self.at(theta), self.dataset.rows(rows), self.weights)

    def loss(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Mean squared length of the residual rows, or the cross-entropy of class labels. Shape: free -> scalar."""
        if self.dataset.has_classes:
            batch = self.dataset.rows(rows)
            return cross_entropy(outputs(self.at(theta), batch.x), batch.y)
        return self.residuals(theta, rows).square().sum(dim=1).mean()

    def jacobian(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """d r_n / d theta and r_n. Shape: free -> batch residual free; batch residual."""
        batch = self.dataset.rows(rows)
        names = [name for name in FIELDS if getattr(batch, name) is not None]

        def sample(point: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
            one = Dataset(**{name: part[None] for name, part in zip(names, parts, strict=True)})
            row = residuals(self.at(point), one, self.weights)[0]
            return row, row

        dims = (None, *(0 for _ in names))
        rows_of = torch.func.vmap(torch.func.jacrev(sample, has_aux=True), in_dims=dims)
        jacobian, row = rows_of(theta, *(getattr(batch, name) for name in names))
        return jacobian, row

    def to(self, dtype: torch.dtype) -> Objective:
        """The same objective in another precision."""
        return replace(
            self,
            network=self.network.to(dtype),
            dataset=self.dataset.to(dtype),
            weights=replace(
                self.weights, gradient=self.weights.gradient.to(dtype), curvature=self.weights.curvature.to(dtype)
            ),
        )


def with_coordinates(network: Network, free: Tensor, theta: Tensor) -> Network:
    """The network with these values at the ``free`` indices of `flatten`; differentiable. Shape: free, free ->."""
    whole = flatten(network)
    return unflatten(network, theta if len(theta) == len(whole) else whole.index_put((free,), theta))


def free_coordinates(network: Network, masks: Sequence[Tensor] | None) -> Tensor:
    """Indices of `flatten` that training may move: all biases, and the weights that their mask keeps."""
    if masks is None:
        return torch.arange(sum(t.numel() for t in (*network.weights, *network.biases)))
    kept = [
        part
        for mask, bias in zip(masks, network.biases, strict=True)
        for part in (mask.reshape(-1), torch.ones_like(bias, dtype=torch.bool))
    ]
    return torch.cat(kept).nonzero()[:, 0]
