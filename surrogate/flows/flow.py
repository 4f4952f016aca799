"""A continuous normalising flow: a density and a sampler of where states live, as the flow of an ordinary equation.

    dz/dt = f(z, t),  z(0) ~ N(0, I),  x = m + A z(1)
    log p(x) = log N(z(0); 0, I) - int_0^1 tr df/dz dt - log det A

References: Chen et al. (2018), "Neural ordinary differential equations"; Grathwohl et al. (2019), "FFJORD"; pruned by
Liebenwein et al. (2021), "Sparse flows". Means m and the Cholesky factor A of the covariance are those of the states,
so that the field has only to bend a Gaussian that already fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from surrogate.errors import SurrogateError
from surrogate.functions.activations import ActivationName, Derivatives
from surrogate.functions.network import Network, forward, initialise, outputs

# Up to this dimension the trace of a field of more than two hidden layers is made of d tangents, beyond it of one.
EXACT_DIMENSION = 10
# The last layer starts this much smaller than others do: the flow starts near the Gaussian, but no weight at 0.
CALM = 0.1
# A correlation matrix with a smaller eigenvalue than this share of its largest leaves Cholesky too few digits.
LEAST_VARIANCE = 1e-12

# tr df/dz at one point in time from what the forward sweep leaves behind. Shape: -> batch.
Divergence = Callable[[Sequence[Derivatives]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow of ``steps`` steps of the classical Runge-Kutta method.

    Args:
        field: f, a network from (z, t) to dz/dt.
        mean, factor: m and A, raw units. Shape: (d,), (d, d) lower triangular.
    """

    field: Network
    mean: Tensor
    factor: Tensor
    steps: int

    @property
    def dimension(self) -> int:
        """Number of coordinates of a state."""
        return len(self.mean)

    @property
    def evaluations(self) -> int:
        """Evaluations of the field for one sample or one density."""
        return 4 * self.steps


def start_flow(
    states: Tensor, hidden: Sequence[int], activation: ActivationName, *, steps: int, generator: torch.Generator
) -> Flow:
    """A flow that begins near the Gaussian of the states' mean and covariance. Shape: states batch d.

    Raises:
        SurrogateError: the states have no density: too few, or all on a plane.
    """
    d = states.shape[1]
    centred = states - states.mean(dim=0)
    covariance = centred.T @ centred / max(1, len(states))
    deviation = covariance.diagonal().sqrt()
    if not (deviation > 0.0).all() or _least_variance(covariance, deviation) < LEAST_VARIANCE:
        raise SurrogateError(
            f"{len(states)} states of {d} coordinates lie on a plane (a constant column, or columns that determine "
            "each other), so they have no density; give more rows, or leave out the coordinate that says nothing new"
        )
    field = initialise((d + 1, *hidden, d), activation, generator=generator, dtype=states.dtype)
    field = replace(field, weights=(*field.weights[:-1], CALM * field.weights[-1]))
    return Flow(field=field, mean=states.mean(dim=0), factor=torch.linalg.cholesky(covariance), steps=steps)


def _least_variance(covariance: Tensor, deviation: Tensor) -> float:
    """Smallest over largest eigenvalue of the correlation matrix."""
    moments = torch.linalg.eigvalsh(covariance / torch.outer(deviation, deviation))
    return float(moments[0] / moments[-1])


def transport(flow: Flow, normals: Tensor) -> Tensor:
    """States from standard normals: x = m + A z(1) with z(0) the normals. Shape: batch d -> batch d."""
    with torch.no_grad():
        z = rk4(partial(_velocity, flow.field), normals, begin=0.0, end=1.0, steps=flow.steps)
        return flow.mean + z @ flow.factor.T


def sample(flow: Flow, count: int, *, generator: torch.Generator) -> Tensor:
    """Independent states. Shape: -> count d."""
    return transport(flow, torch.randn(count, flow.dimension, generator=generator, dtype=flow.field.dtype))


def log_density(flow: Flow, states: Tensor, *, generator: torch.Generator) -> Tensor:
    """log p of every state; differentiable by the field's weights. Shape: batch d -> batch.

    The trace is exact up to two hidden layers or `EXACT_DIMENSION` coordinates; beyond, it is v^T (df/dz) v with one
    random sign vector v a state, the same at all times (Hutchinson; Grathwohl et al. 2019), and ``generator`` is read.
    """
    d = flow.dimension
    z = _whitened(flow, states)
    divergence = _divergence(flow.field, _probes(flow, len(states), generator))

    def rate(t: float, both: Tensor) -> Tensor:
        velocity, hidden = forward(_frozen(flow.field, t), both[:, :d])
        return torch.cat([velocity, divergence(hidden).expand(len(both))[:, None]], dim=1)

    start = torch.cat([z, z.new_zeros(len(z), 1)], dim=1)
    both = rk4(rate, start, begin=1.0, end=0.0, steps=flow.steps)
    base = -0.5 * (both[:, :d].square().sum(dim=1) + d * math.log(2.0 * math.pi))
    # The integral runs from 1 to 0, which is the minus sign of the formula.
    return base + both[:, d] - flow.factor.diagonal().log().sum()


def _whitened(flow: Flow, states: Tensor) -> Tensor:
    """A^-1 (x - m). Shape: batch d -> batch d."""
    white: Tensor = torch.linalg.solve_triangular(flow.factor, (states - flow.mean).T, upper=False)
    return white.T


def trajectories(flow: Flow, states: Tensor) -> tuple[Tensor, Tensor]:
    """What the field sees on the way of these states, and what it says: (z, t) at every step, and dz/dt there.

    Shape: batch d -> batch * (steps + 1), d + 1; batch * (steps + 1), d.
    """
    h, seen = 1.0 / flow.steps, list[Tensor]()
    with torch.no_grad():
        z = _whitened(flow, states)
        for step in range(flow.steps, 0, -1):
            seen.append(_at(z, step * h))
            z = rk4(partial(_velocity, flow.field), z, begin=step * h, end=(step - 1) * h, steps=1)
        points = torch.cat([*seen, _at(z, 0.0)])
        return points, outputs(flow.field, points)


def _velocity(field: Network, t: float, z: Tensor) -> Tensor:
    """f(z, t). Shape: batch d -> batch d."""
    return outputs(_frozen(field, t), z)


def _at(z: Tensor, t: float) -> Tensor:
    """(z, t). Shape: batch d -> batch d + 1."""
    return torch.cat([z, z.new_full((len(z), 1), t)], dim=1)


def rk4(rate: Callable[[float, Tensor], Tensor], start: Tensor, *, begin: float, end: float, steps: int) -> Tensor:
    """The classical Runge-Kutta method of order 4 in equal steps. Shape: any -> the same."""
    y, h = start, (end - begin) / steps
    for step in range(steps):
        t = begin + step * h
        k1 = rate(t, y)
        k2 = rate(t + 0.5 * h, torch.add(y, k1, alpha=0.5 * h))
        k3 = rate(t + 0.5 * h, torch.add(y, k2, alpha=0.5 * h))
        k4 = rate(t + h, torch.add(y, k3, alpha=h))
        y = torch.add(y, torch.add(k1 + k4, k2 + k3, alpha=2.0), alpha=h / 6.0)
    return y


def _frozen(field: Network, t: float) -> Network:
    """The field at one time: the last input goes into the first bias."""
    first, moving = field.weights[0][:, :-1], field.weights[0][:, -1]
    return replace(
        field,
        weights=(first, *field.weights[1:]),
        biases=(torch.add(field.biases[0], moving, alpha=t), *field.biases[1:]),
    )


def _probes(flow: Flow, batch: int, generator: torch.Generator) -> Tensor:
    """Directions v with E[v v^T] = I, or all unit vectors, so that tr J = sum v^T J v. Shape: -> batch direction d."""
    d = flow.dimension
    if d <= EXACT_DIMENSION or len(flow.field.weights) <= 3:
        return torch.eye(d, dtype=flow.field.dtype)[None]
    signs = torch.randint(0, 2, (batch, 1, d), generator=generator)
    return 2.0 * signs.to(flow.field.dtype) - 1.0


def _divergence(field: Network, probes: Tensor) -> Divergence:
    """tr df/dz; with one or two hidden layers the outer weights meet first, and it costs less than a sweep.

    tr W_2 D_1 W_1 = (W_1 o W_2^T) 1 . phi'_1,   tr W_3 D_2 W_2 D_1 W_1 = phi'_2 (W_2 o (W_1 W_3)^T) phi'_1.
    """
    first, last = field.weights[0][:, :-1], field.weights[-1]
    match len(field.weights):
        case 1:
            trace = first.trace()
            return lambda hidden: trace  # noqa: ARG005
        case 2:
            ends = (first * last.T).sum(dim=1)
            return lambda hidden: hidden[0][1] @ ends
        case 3:
            middle = field.weights[1] * (first @ last).T
            return lambda hidden: ((hidden[1][1] @ middle) * hidden[0][1]).sum(dim=1)

    def sweep(hidden: Sequence[Derivatives]) -> Tensor:
        tangent = probes @ first.T
        for weight, (_, slope, _, _) in zip(field.weights[1:], hidden, strict=True):
            tangent = (tangent * slope[:, None, :]) @ weight.T
        return (tangent * probes).sum(dim=(1, 2))

    return sweep
