"""Derivatives by the parameters of a network's value, gradient and H v, all samples at once and in closed form.

With delta_l = dy/da_l, a dot for the derivative along an input and a prime for that along v, every row is a sum of
outer products of what the sweeps of `surrogate.functions.network` meet on their way, by the product rule:

    d y / dW_l           = delta_l h_{l-1}^T
    d (dy/dx_j) / dW_l   = delta_l dot h^T + dot delta_l h^T
    d ((H v)_j) / dW_l   = delta_l dot h'^T + delta_l' dot h^T + dot delta_l h'^T + dot delta_l' h^T

and the derivative by b_l is that of delta_l alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.functions.activations import Derivatives
from surrogate.functions.network import Network, forward


@dataclass(frozen=True, kw_only=True)
class _Jet:
    """A quantity at one layer, its derivatives along the inputs, along v, and along both; None beyond the order.

    Shape: value batch 1 1 width, dot batch 1 feature width, prime batch direction 1 width, both batch direction feature
    width.
    """

    value: Tensor
    dot: Tensor | None = None
    prime: Tensor | None = None
    both: Tensor | None = None


def jacobian(
    network: Network, x: Tensor, *, order: int, directions: Tensor | None = None, cotangents: Tensor | None = None
) -> Tensor:
    """d (y, dy/dx, H v_1, H v_2, ...) / d parameters, up to ``order`` derivatives; columns as `flatten` has them.

    Several outputs have a row each, and with cotangents u the rows of u_1^T dy/dx, u_2^T dy/dx, ... after them.

    Shape: x batch input, directions batch direction input, cotangents batch probe output -> batch row parameter.
    """
    if order == 0:
        return _of_values(network, x)
    if cotangents is not None:
        pulled = [_of_sweeps(network, x, 1, None, cotangent)[:, 1:] for cotangent in cotangents.unbind(dim=1)]
        return torch.cat([_of_values(network, x), *pulled], dim=1)
    return _of_sweeps(network, x, order, directions, x.new_ones(len(x), 1))


def _of_sweeps(network: Network, x: Tensor, order: int, directions: Tensor | None, cotangent: Tensor) -> Tensor:
    """Rows of u^T y and its derivatives by x.

    Shape: batch input, batch direction input, batch output -> batch row parameter.
    """
    hidden = [_spread(derivatives) for derivatives in forward(network, x)[1]]
    nodes, tangents = _upward(network, x, hidden, directions if order == 2 else None)
    deltas = _downward(network, hidden, tangents, cotangent)
    d, k = x.shape[1], 0 if order == 1 or directions is None else directions.shape[1]
    size = sum(t.numel() for t in (*network.weights, *network.biases))
    result = x.new_empty(len(x), 1 + d + k * d, size)
    start = 0
    for delta, node in zip(deltas, nodes, strict=True):
        out, inputs = delta.value.shape[-1], node.value.shape[-1]
        weight, bias = start, start + out * inputs
        start = bias + out
        _fill(result[..., weight:bias], delta, node, (k, d))
        _fill(result[..., bias:start], delta, _Jet(value=x.new_ones(1, 1, 1, 1)), (k, d))
    return result


def _of_values(network: Network, x: Tensor) -> Tensor:
    """Rows of all outputs. Shape: batch input -> batch output parameter."""
    y, hidden = forward(network, x)
    delta = torch.eye(y.shape[1], dtype=x.dtype).expand(len(x), -1, -1)
    blocks: list[Tensor] = []
    for layer in range(len(hidden), -1, -1):
        node = hidden[layer - 1][0] if layer else x
        product = (delta[..., None] * node[:, None, None, :]).flatten(start_dim=2)
        blocks = [product, delta, *blocks]
        if layer:
            delta = (delta @ network.weights[layer]) * hidden[layer - 1][1][:, None, :]
    return torch.cat(blocks, dim=2)


def _spread(derivatives: Derivatives) -> Derivatives:
    """With room for directions and features. Shape: batch width -> batch 1 1 width."""
    phi, slope, bend, third = (derivative[:, None, None, :] for derivative in derivatives)
    return phi, slope, bend, third


def _upward(
    network: Network, x: Tensor, hidden: Sequence[Derivatives], directions: Tensor | None
) -> tuple[list[_Jet], list[_Jet]]:
    """h_0, h_1, ... and a_1, a_2, ... of the hidden layers."""
    node = _Jet(
        value=x[:, None, None, :],
        dot=torch.eye(x.shape[1], dtype=x.dtype)[None, None],
        prime=None if directions is None else directions[:, :, None, :],
    )
    nodes, tangents = [node], []
    for weight, (phi, slope, bend, _) in zip(network.weights[:-1], hidden, strict=True):
        dot, prime, both = (None if t is None else t @ weight.T for t in (node.dot, node.prime, node.both))
        assert dot is not None
        tangents.append(_Jet(value=phi, dot=dot, prime=prime, both=both))
        node = _Jet(value=phi, dot=slope * dot)
        if prime is not None:
            bent = bend * prime * dot
            node = _Jet(
                value=phi,
                dot=node.dot,
                prime=slope * prime,
                both=bent if both is None else torch.addcmul(bent, slope, both),
            )
        nodes.append(node)
    return nodes, tangents


def _downward(
    network: Network, hidden: Sequence[Derivatives], tangents: Sequence[_Jet], cotangent: Tensor
) -> list[_Jet]:
    """delta_1, delta_2, ..., the outputs' last. Shape: cotangent batch output."""
    deltas = [_Jet(value=cotangent[:, None, None, :])]
    for layer in range(len(hidden), 0, -1):
        above, weight, tangent = deltas[0], network.weights[layer], tangents[layer - 1]
        q, dot, prime, both = (
            None if t is None else t @ weight for t in (above.value, above.dot, above.prime, above.both)
        )
        assert q is not None
        deltas.insert(0, _delta(_Jet(value=q, dot=dot, prime=prime, both=both), tangent, hidden[layer - 1]))
    return deltas


def _delta(q: _Jet, a: _Jet, derivatives: Derivatives) -> _Jet:
    """q phi'(a) by the product and chain rules."""
    _, slope, bend, third = derivatives
    assert a.dot is not None
    bent = q.value * bend
    dot = bent * a.dot
    if q.dot is not None:
        dot = dot + q.dot * slope
    if a.prime is None:
        return _Jet(value=q.value * slope, dot=dot)
    prime, both = bent * a.prime, q.value * third * a.prime * a.dot
    if a.both is not None:
        both = both + bent * a.both
    if q.dot is not None and q.prime is not None and q.both is not None:
        prime = prime + q.prime * slope
        both = both + (q.both * slope + bend * (q.prime * a.dot + q.dot * a.prime))
    return _Jet(value=q.value * slope, dot=dot, prime=prime, both=both)


def _fill(block: Tensor, left: _Jet, right: _Jet, sizes: tuple[int, int]) -> None:
    """Write the rows of one layer: the outer product of two jets, by the product rule.

    Shape: block batch row (out in).
    """
    k, d = sizes
    out, inputs = left.value.shape[-1], right.value.shape[-1]
    view = block.view(*block.shape[:2], out, inputs)
    _add_products(view[:, None, :1], [(left.value, right.value)])
    _add_products(view[:, None, 1 : 1 + d], [(left.value, right.dot), (left.dot, right.value)])
    if k:
        terms = [(left.value, right.both), (left.prime, right.dot), (left.dot, right.prime), (left.both, right.value)]
        _add_products(view[:, 1 + d :].view(len(view), k, d, out, inputs), terms)


def _add_products(target: Tensor, terms: Sequence[tuple[Tensor | None, Tensor | None]]) -> None:
    """Overwrite the target with the sum of outer products; a term with None is zero.

    Shape: target batch direction feature out in.
    """
    known = [
        (left[..., :, None], right[..., None, :]) for left, right in terms if left is not None and right is not None
    ]
    if not known:
        target.zero_()
        return
    target.copy_(known[0][0] * known[0][1])
    for left, right in known[1:]:
        target.addcmul_(left, right)
