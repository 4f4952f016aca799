"""The Sobolev loss as per-sample residual rows, so that one definition serves every optimiser.

    L(theta) = mean_n w_n |r_n|^2 + rho |theta|^2
    r_n = ( sqrt(a) (y^ - y),  sqrt(b / d) lambda_j (g^_j - g_j),  sqrt(c / (K d)) lambda_H (H^ v_k - H v_k) )

in normalised units, with lambda_j = 1 / rms(g_j), lambda_H = 1 / rms(H v) and (a, b, c) proportional to
(1, lambda d, eta d), their sum 1; of several outputs sampled products u^T dy/dx with their Jacobian take the place of
the gradient, and the terms add up over the outputs; w_n is the weight of the sample, 1 on average, rho the ridge, 0 by
default (Huge & Savine 2020, "Differential machine learning"; the third term after Kichler, Afghan & Naumann 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from surrogate.dataset import Dataset
from surrogate.errors import SurrogateError
from surrogate.functions.network import (
    Network,
    flatten,
    hessian_vector,
    outputs,
    outputs_and_pullbacks,
    unflatten,
    value_and_gradient,
)
from surrogate.learning.jacobian import jacobian
from surrogate.spec import SobolevLoss


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Multipliers of the residuals. Shape: value scalar, gradient (feature,), curvature scalar."""

    order: int
    value: float
    gradient: Tensor
    curvature: Tensor


def loss_weights(dataset: Dataset, loss: SobolevLoss, *, delta_units: Tensor | None = None) -> LossWeights:
    """Multipliers that give every term of the loss its share, for a dataset in normalised units.

    ``delta_units`` take the place of the root mean squares 1 / lambda_j. Shape: (feature,).

    Raises:
        SurrogateError: the loss needs labels that the dataset does not hold.
    """
    several = dataset.has_classes or dataset.y.ndim > 1
    if several and (loss.order >= 2 or (loss.order == 1 and dataset.pullbacks is None)):
        raise SurrogateError(
            "a network of several outputs is trained on values alone, or with pullbacks of their Jacobian on a loss of "
            "order 1; ask for a loss of order 0"
        )
    if several and dataset.pullbacks is not None and loss.order == 1:
        return _several(dataset, dataset.pullbacks, loss)
    if loss.order >= 1 and dataset.gradient is None:
        raise SurrogateError("a loss of order 1 needs delta labels; make labels of order 1 or ask for order 0")
    if loss.order >= 2 and dataset.curvature is None:
        raise SurrogateError("a loss of order 2 needs curvature labels; make labels of order 2 or ask for order 1")
    d = dataset.x.shape[1]
    a, b, c = loss_shares(loss, d)
    zero = dataset.x.new_zeros(())
    gradient, curvature = zero.expand(d), zero
    if loss.order >= 1 and dataset.gradient is not None:
        units = dataset.gradient.square().mean(dim=0).sqrt() if delta_units is None else delta_units
        gradient = math.sqrt(b / d) * _inverse(units)
    if loss.order >= 2 and dataset.curvature is not None:
        directions = dataset.curvature.shape[1]
        curvature = math.sqrt(c / (directions * d)) * _inverse(dataset.curvature.square().mean().sqrt())
    return LossWeights(order=loss.order, value=math.sqrt(a), gradient=gradient, curvature=curvature)


def _several(dataset: Dataset, pullbacks: Tensor, loss: SobolevLoss) -> LossWeights:
    """Multipliers for m outputs, whose terms add up.

    With cotangents u of mean square I, |u^T (J^ - J)|^2 is on average the squared Frobenius norm of the error in the
    Jacobian, in these units m times that of one output.
    """
    a, b, _ = loss_shares(loss, dataset.x.shape[1])
    scale = pullbacks.square().mean(dim=(0, 1)).sqrt()
    size = math.sqrt(b * dataset.y.shape[1] / (pullbacks.shape[1] * pullbacks.shape[2]))
    return LossWeights(order=1, value=math.sqrt(a), gradient=size * _inverse(scale), curvature=dataset.x.new_zeros(()))


def loss_shares(loss: SobolevLoss, features: int) -> tuple[float, float, float]:
    """Shares (a, b, c) of the value, delta and curvature terms, proportional to (1, lambda d, eta d)."""
    d = features
    shares = (1.0, loss.delta_weight * d * (loss.order >= 1), loss.curvature_weight * d * (loss.order >= 2))
    a, b, c = (share / sum(shares) for share in shares)
    return a, b, c


def _inverse(scale: Tensor) -> Tensor:
    """1 / scale, and 1 where the scale is 0: a label that is always 0 keeps its unit."""
    return 1.0 / scale.where(scale > 0, scale.new_ones(()))


def residuals(network: Network, batch: Dataset, weights: LossWeights) -> Tensor:
    """Rows sqrt(w_n) r_n. Shape: -> batch (1 + feature + direction * feature), by order; batch output for several.

    Raises:
        SurrogateError: class labels, which have no residuals.
    """
    if batch.has_classes:
        raise SurrogateError("class labels have no residuals; train with adam or lbfgs")
    rows = _unweighted(network, batch, weights)
    return rows if batch.weight is None else batch.weight.sqrt()[:, None] * rows


def _unweighted(network: Network, batch: Dataset, weights: LossWeights) -> Tensor:
    """Residual rows as if every sample had the weight 1."""
    if weights.order == 0:
        y = outputs(network, batch.x)
        return weights.value * (y - batch.y.reshape(len(y), -1))
    if batch.cotangents is not None and batch.pullbacks is not None:
        y, pulled = outputs_and_pullbacks(network, batch.x, batch.cotangents)
        rows = (weights.gradient * (pulled - batch.pullbacks)).flatten(start_dim=1)
        return torch.cat([weights.value * (y - batch.y), rows], dim=1)
    assert batch.gradient is not None
    if weights.order == 1:
        y, gradient = value_and_gradient(network, batch.x)
        return torch.cat(
            [weights.value * (y - batch.y)[:, None], weights.gradient * (gradient - batch.gradient)], dim=1
        )
    assert batch.directions is not None
    assert batch.curvature is not None
    y, gradient, product = hessian_vector(network, batch.x, batch.directions)
    terms = [
        weights.value * (y - batch.y)[:, None],
        weights.gradient * (gradient - batch.gradient),
        (weights.curvature * (product - batch.curvature)).flatten(start_dim=1),
    ]
    return torch.cat(terms, dim=1)


def multipliers(weights: LossWeights, batch: Dataset) -> Tensor:
    """What each residual is multiplied by. Shape: -> batch residual, the batch 1 where samples weigh the same."""
    value = weights.gradient.new_full((1 if batch.y.ndim == 1 else batch.y.shape[1],), weights.value)
    sizes = [value]
    if weights.order >= 1:
        sizes += [weights.gradient] * (1 if batch.pullbacks is None else batch.pullbacks.shape[1])
    if weights.order >= 2 and batch.curvature is not None:
        sizes.append(weights.curvature.expand(batch.curvature[0].numel()))
    row = torch.cat(sizes)[None]
    return row if batch.weight is None else batch.weight.sqrt()[:, None] * row


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

    ``free`` indexes `surrogate.functions.network.flatten`; the other coordinates keep the values of ``network``.
    ``ridge`` is rho of the added rho |theta|^2: a brake on networks that learn from noisy labels.

    Shape: free (free,).
    """

    network: Network
    dataset: Dataset
    weights: LossWeights
    free: Tensor
    ridge: float = 0.0

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
        """Mean squared length of the residual rows, or the cross-entropy of class labels, and the ridge.

        Shape: free -> scalar.
        """
        penalty = self.ridge * (theta @ theta) if self.ridge else 0.0
        if self.dataset.has_classes:
            batch = self.dataset.rows(rows)
            return cross_entropy(outputs(self.at(theta), batch.x), batch.y) + penalty
        return self.residuals(theta, rows).square().sum(dim=1).mean() + penalty

    def jacobian(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """d r_n / d theta and r_n. Shape: free -> batch residual free; batch residual."""
        batch, network = self.dataset.rows(rows), self.at(theta.detach())
        residual = residuals(network, batch, self.weights)
        matrix = jacobian(
            network, batch.x, order=self.weights.order, directions=batch.directions, cotangents=batch.cotangents
        )
        size = multipliers(self.weights, batch)
        if len(self.free) < matrix.shape[2]:
            matrix = matrix[..., self.free]
        return matrix.mul_(size[..., None]), residual

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
    """Indices of `flatten` that training may move: all biases, and the weights that their mask keeps.

    Shape: masks out in, per layer -> free.
    """
    if masks is None:
        return torch.arange(sum(t.numel() for t in (*network.weights, *network.biases)))
    kept = [
        movable
        for mask, bias in zip(masks, network.biases, strict=True)
        for movable in (mask.reshape(-1), torch.ones_like(bias, dtype=torch.bool))
    ]
    return torch.cat(kept).nonzero()[:, 0]
