"""Per-sample derivative rows by the weights, as factors: no loop over samples, no matrix until somebody asks for it.

With q_l = dy/dh_l, delta_l = q_l o phi'(a_l) and a tangent dot along an input direction v, row n of layer l is

    dy/dW_l        = delta_l h_{l-1}^T
    d(dy/dx v)/dW_l = delta_l dot h_{l-1}^T + dot delta_l h_{l-1}^T,
    dot delta_l    = dot q_l o phi'(a_l) + q_l o phi''(a_l) o dot a_l,   dot q_{l-1} = dot delta_l W_l

a sum of outer products; biases are not pruned and have no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.errors import PruningError
from pruning.spec import RowsName
from surrogate.activations import Derivatives
from surrogate.dataset import Dataset
from surrogate.losses import loss_weights
from surrogate.network import Network, adjoints, forward, value_and_gradient
from surrogate.spec import SobolevLoss

# Largest row matrix that is formed: 2 GiB of float64, what a laptop can spare.
MAXIMUM_ENTRIES = 2**28


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The matrix A, one row a residual, and the residuals.

    Shape: left[l] (term, row, out), right[l] (term, row, in): block l of a row is the sum over terms of left right^T;
    residual (row,).
    """

    left: tuple[Tensor, ...]
    right: tuple[Tensor, ...]
    residual: Tensor

    def matrix(self, masks: Sequence[Tensor]) -> Tensor:
        """A explicitly, only the columns of weights that are kept. Shape: out in, per layer -> row weight.

        Raises:
            PruningError: it would not fit into `MAXIMUM_ENTRIES`.
        """
        weights, rows = int(sum(mask.sum() for mask in masks)), len(self.residual)
        if rows * weights > MAXIMUM_ENTRIES:
            raise PruningError(
                f"samples: {rows} rows of {weights} weights are too many to hold; use at most "
                f"{MAXIMUM_ENTRIES // weights} rows"
            )
        return torch.cat(
            [
                torch.einsum("tno,tni->noi", left, right)[:, mask]
                for left, right, mask in zip(self.left, self.right, masks, strict=True)
            ],
            dim=1,
        )

    def combine(self, coefficients: Tensor) -> tuple[Tensor, ...]:
        """A^T u. Shape: row -> out in, per layer."""
        return tuple(
            torch.einsum("tno,n,tni->oi", left, coefficients, right)
            for left, right in zip(self.left, self.right, strict=True)
        )

    def absolute(self, coefficients: Tensor) -> tuple[Tensor, ...]:
        """|A|^T |u|, or more where a row has several terms. Shape: row -> out in, per layer."""
        return Rows(
            left=tuple(left.abs() for left in self.left),
            right=tuple(right.abs() for right in self.right),
            residual=self.residual,
        ).combine(coefficients.abs())


def _deltas(network: Network, y: Tensor, hidden: Sequence[Derivatives]) -> list[Tensor]:
    """dy/da_l for every layer, the output layer's being 1. Shape: -> batch out, per layer."""
    inner = [q * slope for q, (_, slope, _, _) in zip(adjoints(network, hidden)[1:], hidden, strict=True)]
    return [*inner, torch.ones_like(y)]


def gauss_newton(network: Network, dataset: Dataset) -> Rows:
    """Row n = dy_n/dw, residual y^_n - y_n: ||A d + r||^2 is the linearised squared error."""
    y, hidden = forward(network, dataset.x)
    return Rows(
        left=tuple(delta[None] for delta in _deltas(network, y, hidden)),
        right=(dataset.x[None], *(phi[0][None] for phi in hidden)),
        residual=y[:, 0] - dataset.y,
    )


def fisher(network: Network, dataset: Dataset) -> Rows:
    """Row n = r_n dy_n/dw, the gradient of the loss.

    The residuals are 0: with them every sample, fitted or not, would ask for a step of the same size.
    """
    rows = gauss_newton(network, dataset)
    scaled = tuple(left * rows.residual[:, None] for left in rows.left)
    return Rows(left=scaled, right=rows.right, residual=torch.zeros_like(rows.residual))


def _derivative_rows(network: Network, dataset: Dataset, feature: int, residual: Tensor) -> Rows:
    """Row n = d(dy_n/dx_j)/dw for one input j."""
    y, hidden = forward(network, dataset.x)
    deltas, q = _deltas(network, y, hidden), adjoints(network, hidden)
    tangent = torch.zeros_like(dataset.x)
    tangent[:, feature] = 1.0
    tangents, bends = [tangent], []
    for weight, (_, slope, bend, _) in zip(network.weights[:-1], hidden, strict=True):
        a_dot = tangents[-1] @ weight.T
        bends.append(bend * a_dot)
        tangents.append(slope * a_dot)
    dots = [torch.zeros_like(deltas[-1])]
    for layer in range(len(hidden) - 1, -1, -1):
        q_dot = dots[-1] @ network.weights[layer + 1]
        dots.append(q_dot * hidden[layer][1] + q[layer + 1] * bends[layer])
    nodes = [dataset.x, *(phi[0] for phi in hidden)]
    return Rows(
        left=tuple(torch.stack(pair) for pair in zip(deltas, reversed(dots), strict=True)),
        right=tuple(torch.stack(pair) for pair in zip(tangents, nodes, strict=True)),
        residual=residual,
    )


def sobolev(network: Network, dataset: Dataset) -> Rows:
    """Gauss-Newton rows of the value and of every delta, weighted as the Sobolev loss of order 1 weighs them.

    Raises:
        SurrogateError: the dataset has no delta labels.
    """
    share = loss_weights(dataset, SobolevLoss(order=1))
    assert dataset.gradient is not None
    _, gradient = value_and_gradient(network, dataset.x)
    values = gauss_newton(network, dataset)
    blocks = [(share.value, _padded(values))]
    for feature in range(dataset.x.shape[1]):
        residual = gradient[:, feature] - dataset.gradient[:, feature]
        blocks.append((float(share.gradient[feature]), _derivative_rows(network, dataset, feature, residual)))
    layers = range(len(network.weights))
    return Rows(
        left=tuple(torch.cat([weight * block.left[layer] for weight, block in blocks], dim=1) for layer in layers),
        right=tuple(torch.cat([block.right[layer] for _, block in blocks], dim=1) for layer in layers),
        residual=torch.cat([weight * block.residual for weight, block in blocks]),
    )


def _padded(rows: Rows) -> Rows:
    """The same rows with a second term of zeros, to stack with rows of two terms."""
    return Rows(
        left=tuple(torch.cat([left, torch.zeros_like(left)]) for left in rows.left),
        right=tuple(torch.cat([right, torch.zeros_like(right)]) for right in rows.right),
        residual=rows.residual,
    )


ROWS: Mapping[RowsName, Callable[[Network, Dataset], Rows]] = {
    "gauss_newton": gauss_newton,
    "sobolev": sobolev,
    "fisher": fisher,
}
