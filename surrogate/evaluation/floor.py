"""The noise of training labels in the unit and aggregate of what a surrogate is scored in, output by output.

Where exact scaling leaves V = c(x) U(u(x)) and labels are of U, with standard errors s of the value and s_j by its
feature j,

    value: c s,    derivative by x_i: sqrt((dc/dx_i s)^2 + sum_j (c du_j/dx_i s_j)^2),

root mean squares over points of the Box, what value and derivatives have in common left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pricing.draws import stream
from pricing.specs.problem import PricingProblem
from surrogate.greeks import greeks
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import Reduction

# Points of the Box that a scaling is measured at.
POINTS = 1024


def noise_floor(
    noise: Mapping[str, float], problem: PricingProblem, reduction: Reduction | None, *, seed: int
) -> dict[str, float]:
    """Noise by output, of those whose noise is known.

    Args:
        noise: root mean square standard errors of the labels' value, of their derivatives by each feature of what is
            simulated, and of its gamma where that is known.
        problem: what is priced.
    """
    by_feature = dict(noise) if reduction is None else _scaled(noise, problem, reduction, seed=seed)
    names = {"value": "value", "delta": "spot", "gamma": "gamma"}
    names |= {greek.name: greek.feature for greek in greeks(problem.box)}
    return {output: by_feature[feature] for output, feature in names.items() if feature in by_feature}


def _scaled(
    noise: Mapping[str, float], problem: PricingProblem, reduction: Reduction, *, seed: int
) -> dict[str, float]:
    """Noise of what is scaled from the labels, by the problem's own features."""
    box, own = problem.box, reduction.canonical.box
    if not {"value", *(feature.name for feature in own.features)} <= noise.keys():
        return {}
    drawn = stream("noise floor", seed=seed).random((POINTS, box.dimension))
    x = torch.from_numpy(box.from_uniforms(drawn)).requires_grad_()
    u = evaluate([reduction.arguments], x)[0]
    size = evaluate([reduction.amplitude], x)[0][:, 0] / evaluate([reduction.local_amplitude], u)[0][:, 0]
    size = size + 0.0 * x.sum(dim=1)
    square = (_slopes(size, x) * noise["value"]).square()
    for j, error in enumerate(_by_column(noise, reduction.canonical)):
        square = square + (size.detach()[:, None] * _slopes(u[:, j], x) * error).square()
    rooted = {feature.name: square[:, box.columns(feature.name)].mean().sqrt() for feature in box.features}
    return {"value": float(size.detach().square().mean().sqrt()) * noise["value"]} | {
        name: float(each) for name, each in rooted.items()
    }


def _by_column(noise: Mapping[str, float], simulated: PricingProblem) -> list[float]:
    return [noise[feature.name] for feature in simulated.box.features for _ in range(feature.size)]


def _slopes(y: Tensor, x: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(y.sum(), x, retain_graph=True, allow_unused=True)
    return torch.zeros_like(x) if slope is None else slope
