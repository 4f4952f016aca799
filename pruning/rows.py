"""Per-sample derivative rows by the weights, as factors: no loop over samples, no matrix until somebody asks for it.

With q_l = dy/dh_l, delta_l = q_l o phi'(a_l) and a tangent dot along an input direction v, row n of layer l is

    dy/dW_l        = delta_l h_{l-1}^T
    d(dy/dx v)/dW_l = delta_l dot h_{l-1}^T + dot delta_l h_{l-1}^T,
    dot delta_l    = dot q_l o phi'(a_l) + q_l o phi''(a_l) o dot a_l,   dot q_{l-1} = dot delta_l W_l

a sum of outer products; biases are not pruned and have no rows. Several outputs give a row each; class labels give one
row a sample, a random projection of the Gauss-Newton square root of the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.errors import PruningError
from pruning.spec import PruningSpec, RowsName
from surrogate.dataset import Dataset
from surrogate.functions.activations import Derivatives
from surrogate.functions.network import Network, adjoints, forward, value_and_gradient
from surrogate.learning.losses import loss_weights
from surrogate.spec import SobolevLoss

# Largest row matrix that is formed: 2 GiB of float64, what a laptop can spare.
MAXIMUM_ENTRIES = 2**28
# Least probability of the right class in the residuals of `class_rows`: |u|^2 <= 7 / 3. 0.1 was no better on MNIST.
LEAST_PROBABILITY = 0.3


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
            (left * coefficients[:, None]).flatten(end_dim=1).T @ right.flatten(end_dim=1)
            for left, right in zip(self.left, self.right, strict=True)
        )

    def squares(self) -> tuple[Tensor, ...]:
        """Sums of the squares of every column, the diagonal of A^T A. Shape: -> out in, per layer."""
        terms = range(len(self.left[0]))
        return tuple(
            torch.stack([(left[s] * left[t]).T @ (right[s] * right[t]) for s in terms for t in terms]).sum(dim=0)
            for left, right in zip(self.left, self.right, strict=True)
        )

    def absolute(self, coefficients: Tensor) -> tuple[Tensor, ...]:
        """|A|^T |u|, or more where a row has several terms. Shape: row -> out in, per layer."""
        return Rows(
            left=tuple(left.abs() for left in self.left),
            right=tuple(right.abs() for right in self.right),
            residual=self.residual,
        ).combine(coefficients.abs())


def _deltas(network: Network, top: Tensor, hidden: Sequence[Derivatives]) -> list[Tensor]:
    """d(top . y)/da_l for every layer. Shape: batch output -> batch out, per layer."""
    sweep = [top]
    for weight, (_, slope, _, _) in zip(reversed(network.weights[1:]), reversed(hidden), strict=True):
        sweep.append((sweep[-1] @ weight) * slope)
    return sweep[::-1]


def _rows(network: Network, dataset: Dataset, hidden: Sequence[Derivatives], top: Tensor, residual: Tensor) -> Rows:
    """Row n = d(top_n . y_n)/dw. Shape: batch output; batch ->."""
    return Rows(
        left=tuple(delta[None] for delta in _deltas(network, top, hidden)),
        right=(dataset.x[None], *(phi[0][None] for phi in hidden)),
        residual=residual,
    )


def gauss_newton(network: Network, dataset: Dataset, generator: torch.Generator) -> Rows:
    """Row n = dy_n/dw, residual y^_n - y_n: ||A d + r||^2 is the linearised squared error.

    Class labels: with p the softmax, L = diag(sqrt p) - p sqrt p^T and H = L L^T the Hessian of the cross-entropy by
    the logits, row n is s^T L^T dy_n/dw with random signs s, and E[A^T A] the Gauss-Newton matrix. The residuals are 0,
    as the gradient is on average where training has converged; `class_rows` have it.
    """
    y, hidden = forward(network, dataset.x)
    if dataset.has_classes:
        root = torch.softmax(y, dim=1).sqrt()
        signs = 2.0 * torch.randint(0, 2, y.shape, generator=generator).to(y.dtype) - 1.0
        top = root * (signs - (root * signs).sum(dim=1, keepdim=True) * root)
        return _rows(network, dataset, hidden, top, y.new_zeros(len(y)))
    residuals = y - dataset.y.reshape(len(y), -1)
    eye = torch.eye(y.shape[1], dtype=y.dtype)
    blocks = [_rows(network, dataset, hidden, eye[c].expand_as(y), residuals[:, c]) for c in range(y.shape[1])]
    return blocks[0] if len(blocks) == 1 else _stack(blocks)


def class_rows(network: Network, dataset: Dataset, generator: torch.Generator) -> Rows:
    """Rows as `gauss_newton` makes them of class labels, with residuals: E[A^T r] is the gradient of the cross-entropy.

    L L^+ (p - e) = p - e with u = L^+ (p - e) = sqrt p - e / sqrt p_y. Row n is t^T L^T dy_n/dw with residual t^T u, t
    random signs but along u, where t is +-1: t^T u = +-|u| then has no variance. |u|^2 = (1 - p_y) / p_y is bounded by
    raising p_y to `LEAST_PROBABILITY` where it is below, at the cost of the other classes; such samples pull less.
    """
    y, hidden = forward(network, dataset.x)
    p, hit = torch.softmax(y, dim=1), torch.nn.functional.one_hot(dataset.y, y.shape[1]).to(y.dtype)
    own = (p * hit).sum(dim=1, keepdim=True)
    blend = ((LEAST_PROBABILITY - own) / (1.0 - own)).clamp(min=0.0).nan_to_num(0.0)
    p, own = p + blend * (hit - p), own + blend * (1.0 - own)
    root = p.sqrt()
    pull = root - hit / own.sqrt()
    length = pull.norm(dim=1, keepdim=True)
    unit = pull / length.clamp(min=torch.finfo(y.dtype).tiny)
    signs, sign = (
        2.0 * torch.randint(0, 2, (len(y), n), generator=generator).to(y.dtype) - 1.0 for n in (y.shape[1], 1)
    )
    signs = signs + (sign - (signs * unit).sum(dim=1, keepdim=True)) * unit
    top = root * (signs - (root * signs).sum(dim=1, keepdim=True) * root)
    return _rows(network, dataset, hidden, top, (sign * length)[:, 0])


def fisher(network: Network, dataset: Dataset, generator: torch.Generator) -> Rows:  # noqa: ARG001
    """Row n = dL_n/dw with L_n = |r_n|^2 / 2 or the cross-entropy.

    The residuals are 0. The gradient of the loss is the sum of the rows, so that e = 1 holds it (`model_rows`); then
    every sample, fitted or not, asks for a step of the same size.
    """
    y, hidden = forward(network, dataset.x)
    if dataset.has_classes:
        top = torch.softmax(y, dim=1) - torch.nn.functional.one_hot(dataset.y, y.shape[1])
    else:
        top = y - dataset.y.reshape(len(y), -1)
    return _rows(network, dataset, hidden, top, y.new_zeros(len(y)))


def _stack(blocks: Sequence[Rows]) -> Rows:
    """All rows of several blocks that have the same number of terms."""
    layers = range(len(blocks[0].left))
    return Rows(
        left=tuple(torch.cat([block.left[layer] for block in blocks], dim=1) for layer in layers),
        right=tuple(torch.cat([block.right[layer] for block in blocks], dim=1) for layer in layers),
        residual=torch.cat([block.residual for block in blocks]),
    )


def _derivative_rows(network: Network, dataset: Dataset, feature: int, residual: Tensor) -> Rows:
    """Row n = d(dy_n/dx_j)/dw for one input j."""
    y, hidden = forward(network, dataset.x)
    deltas, q = _deltas(network, torch.ones_like(y), hidden), adjoints(network, hidden)
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


def sobolev(network: Network, dataset: Dataset, generator: torch.Generator) -> Rows:
    """Gauss-Newton rows of the value and of every delta, weighted as the Sobolev loss of order 1 weighs them.

    Raises:
        SurrogateError: the dataset has no delta labels.
    """
    share = loss_weights(dataset, SobolevLoss(order=1))
    assert dataset.gradient is not None
    _, gradient = value_and_gradient(network, dataset.x)
    values = _padded(gauss_newton(network, dataset, generator))
    blocks = [_scaled(values, share.value)]
    for feature in range(dataset.x.shape[1]):
        residual = gradient[:, feature] - dataset.gradient[:, feature]
        rows = _derivative_rows(network, dataset, feature, residual)
        blocks.append(_scaled(rows, float(share.gradient[feature])))
    return _stack(blocks)


def _scaled(rows: Rows, by: float) -> Rows:
    """Every row and its residual times a number."""
    return Rows(left=tuple(by * left for left in rows.left), right=rows.right, residual=by * rows.residual)


def _padded(rows: Rows) -> Rows:
    """The same rows with a second term of zeros, to stack with rows of two terms."""
    return Rows(
        left=tuple(torch.cat([left, torch.zeros_like(left)]) for left in rows.left),
        right=tuple(torch.cat([right, torch.zeros_like(right)]) for right in rows.right),
        residual=rows.residual,
    )


def loss_rows(network: Network, dataset: Dataset, name: RowsName, generator: torch.Generator) -> Rows:
    """Rows that add up to n dL/dw: the gradients of the squared residuals (halved), of the Sobolev loss if so named."""
    if name != "sobolev":
        return fisher(network, dataset, generator)
    rows = sobolev(network, dataset, generator)
    scaled = tuple(left * rows.residual[:, None] for left in rows.left)
    return Rows(left=scaled, right=rows.right, residual=torch.zeros_like(rows.residual))


ROWS: Mapping[RowsName, Callable[[Network, Dataset, torch.Generator], Rows]] = {
    "gauss_newton": gauss_newton,
    "sobolev": sobolev,
    "fisher": fisher,
}


def model_rows(network: Network, dataset: Dataset, spec: PruningSpec, generator: torch.Generator) -> Rows:
    """The rows of a specification, with the gradient term that it asks for: r of ||A d + r||^2, e of b = A w - e.

    In any case A^T r is the gradient of the loss times the number of samples, for "fisher" with r = 1; left out, r = 0.
    What it is worth: `benchmarks/chita.py`.

    References: Benbaki et al., "Fast as CHITA" (ICML 2023), equation 4.
    """
    if spec.gradient_term is True and spec.rows == "gauss_newton" and dataset.has_classes:
        return class_rows(network, dataset, generator)
    rows = ROWS[spec.rows](network, dataset, generator)
    if spec.gradient_term is False:
        return replace(rows, residual=torch.zeros_like(rows.residual))
    if spec.gradient_term is True and spec.rows == "fisher":
        return replace(rows, residual=torch.ones_like(rows.residual))
    return rows
