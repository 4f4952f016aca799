"""Does an exported graph reproduce its network? Checked on thousands of points before anything is published."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import torch

from pricing.domain import Box
from pricing.types import Array
from surrogate.errors import ParityFailure
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.reductions.reduction import Reduction, derivatives
from surrogate.runtime import open_session

# Points, and of many features (from 91 on) as many as there are corners twice: their gammas have d^2 numbers each.
POINTS, FEWER_POINTS, MANY_FEATURES = 10_000, 2_048, 91
# Numbers of the gammas that are compared at a time, 32 MB: of up to 20 features all points at once.
NUMBERS = 1 << 22
# All 2^d corners up to this many features; beyond, as many random corners.
CORNER_FEATURES = 10
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
    exact = network.to(torch.float64)
    scale, largest = dict.fromkeys(tolerances, 0.0), dict.fromkeys(tolerances, 0.0)
    rows = max(1, NUMBERS // box.dimension**2)
    for part in (points[first : first + rows] for first in range(0, len(points), rows)):
        expected = exact_outputs(exact, torch.from_numpy(part).double(), reduction)
        answered = session.run(list(tolerances), {"features": part})
        for name, got, want in zip(tolerances, answered, expected, strict=True):
            scale[name] = np.maximum(scale[name], float(want.abs().max()))
            largest[name] = np.maximum(largest[name], float(np.abs(got - want.numpy()).max()))  # keeps nan
    differences = {name: float(largest[name] / (scale[name] or 1.0)) for name in tolerances}
    for name, difference in differences.items():
        if not difference <= tolerances[name]:
            raise ParityFailure(
                f"{name} of the exported graph differs from the network by {difference:.3g} of its range; "
                f"the bound is {tolerances[name]:g}"
            )
    empty = session.run(["value", "delta", "gamma"], {"features": points[:0]})
    if [tensor.shape for tensor in empty] != [(0,), (0, box.dimension), (0, box.dimension, box.dimension)]:
        raise ParityFailure(f"an empty batch gives shapes {[part.shape for part in empty]}")
    return differences


def exact_outputs(network: Surrogate, x: torch.Tensor, reduction: Reduction | None) -> tuple[torch.Tensor, ...]:
    """Value, delta and gamma of the network, through the reduction where there is one. Shape: x batch feature ->."""
    if reduction is not None:
        return tuple(derivatives(reduction, network, x))
    with torch.no_grad():
        return tuple(value_gradient_hessian(network, x))
