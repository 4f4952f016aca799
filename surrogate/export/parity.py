"""Does an exported graph reproduce its network? Checked on thousands of points before anything is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from pricing.domain import Box
from pricing.types import Array
from surrogate.errors import ParityFailure
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.reductions.reduction import Reduction, derivatives
from surrogate.runtime import open_session

# Points, and of many features (from 91 on) as many as there are corners twice: their gammas have d^2 numbers each.
POINTS, FEWER_POINTS, MANY_FEATURES = 10_000, 2_048, 91
# All 2^d corners up to this many features; beyond, as many random corners.
CORNER_FEATURES = 10
OUTPUTS = ("value", "delta", "gamma")
# Entries of the Hessians that are compared at once: all points of some forty features.
ENTRIES = 1 << 24
# Largest difference accepted, as a share of the output's largest magnitude over the points. The sweeps are the same
# operations in another order, so only rounding may differ.
FLOAT64_TOLERANCE: Mapping[str, float] = {"value": 1e-12, "delta": 1e-11, "gamma": 1e-10}
# Single precision keeps 24 bits; a gamma sums terms about a hundred times its own size.
FLOAT32_TOLERANCE: Mapping[str, float] = {"value": 1e-4, "delta": 1e-4, "gamma": 1e-3}


def parity_points(box: Box, *, seed: int) -> Array:
    """Corners, then uniform points of the Box padded by 5 %. Shape: -> point feature."""
    generator = np.random.default_rng(seed)
    if box.dimension <= CORNER_FEATURES:
        corners = np.array(list(product((0.0, 1.0), repeat=box.dimension)))
    else:
        corners = generator.integers(0, 2, (1 << CORNER_FEATURES, box.dimension)).astype(float)
    points = POINTS if box.dimension < MANY_FEATURES else FEWER_POINTS
    inner = generator.uniform(-0.05, 1.05, (points - len(corners), box.dimension))
    return box.from_uniforms(np.concatenate([corners, inner]))


def check_parity(
    model: bytes, network: Surrogate, box: Box, *, reduction: Reduction | None = None, seed: int = 0
) -> dict[str, float]:
    """Largest difference between graph and float64 network per output, as a share of the output's largest magnitude.

    With a reduction the graph's chain rule is compared with automatic differentiation of the same formulas.

    Raises:
        ParityFailure: a difference above tolerance, a non-finite output, or a graph that refuses an empty batch.
    """
    session = open_session(model)
    single = session.get_inputs()[0].type == "tensor(float)"
    dtype, tolerances = (np.float32, FLOAT32_TOLERANCE) if single else (np.float64, FLOAT64_TOLERANCE)
    points = parity_points(box, seed=seed).astype(dtype)
    exact, rows = network.to(torch.float64), max(1, ENTRIES // box.dimension**2)
    largest = np.zeros((len(OUTPUTS), 2))
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        expected = what_is_right(exact, torch.from_numpy(part).double(), reduction)
        largest = np.maximum(largest, compared(session.run(list(OUTPUTS), {"features": part}), expected))
    differences = {}
    for name, (apart, size) in zip(OUTPUTS, largest.tolist(), strict=True):
        difference = apart / (size or 1.0)
        if not difference <= tolerances[name]:
            raise ParityFailure(
                f"{name} of the {'float32' if single else 'exported'} graph differs from the network by "
                f"{difference:.3g} of its range; the bound is {tolerances[name]:g}"
            )
        differences[name] = difference
    empty = session.run(list(OUTPUTS), {"features": points[:0]})
    if [tensor.shape for tensor in empty] != [(0,), (0, box.dimension), (0, box.dimension, box.dimension)]:
        raise ParityFailure(f"an empty batch gives shapes {[part.shape for part in empty]}")
    return differences


def what_is_right(network: Surrogate, x: Tensor, reduction: Reduction | None) -> tuple[Tensor, Tensor, Tensor]:
    """Value, gradient and Hessian by the network, or by the formulas around it. Shape: x (batch, feature) ->."""
    if reduction is not None:
        return derivatives(reduction, network, x)
    with torch.no_grad():
        return value_gradient_hessian(network, x)


def compared(answered: Sequence[Array], expected: Sequence[Tensor]) -> Array:
    """The largest difference and the largest magnitude of each output; NaN where anything is.

    Shape: answered, expected batch and any further axes -> output 2.
    """
    return np.array(
        [
            (np.abs(got - want.numpy()).max(), float(want.abs().max()))
            for got, want in zip(answered, expected, strict=True)
        ]
    )
