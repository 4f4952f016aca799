"""The score of the likelihood ratio against that of the paths, by a change of variables.

With S = S(z, x) for as many normals z as levels, p(S; x) = n(z) / |dS/dz| and dz/dx = -(dS/dz)^-1 dS/dx at fixed S.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pricing.estimators.likelihood_ratio import log_density
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call
from pricing.specs.process import Process
from tests.conformance.estimates import LEVEL, place, problem

# Normals at which the scores are compared.
POINTS = (-0.7, 0.2, 1.1)


def check_density(process: Process) -> None:
    """The derivatives of ln p(S; x) by every parameter x are those of the paths."""
    if not process.facts.density:
        return
    asked = problem(process, Call(weights=(1.0,) * process.assets, strike=LEVEL), varying="process")
    x, dimension = place(asked)[0], sum(blocks(process, 1))
    assert dimension == process.assets, "density, but a level hangs on several normals"

    def seen(z: Tensor, row: Tensor) -> Tensor:
        at = scenario(asked, row[None])
        return simulate(process, at, z[None, None], times(asked, at)).levels().flatten()

    def weight(z: Tensor, row: Tensor) -> Tensor:
        size: Tensor = torch.linalg.slogdet(jacobian(lambda at_z: seen(at_z, row), z)).logabsdet
        return -0.5 * z.square().sum() - size

    for point in POINTS:
        z = point * torch.linspace(1.0, 0.5, dimension, dtype=torch.float64)
        by_z, by_x = jacobian(lambda at_z: seen(at_z, x), z), jacobian(lambda row: seen(z, row), x)  # noqa: B023
        along, across = jacobian(lambda row: weight(z, row), x), jacobian(lambda at_z: weight(at_z, x), z)  # noqa: B023
        score = along - across @ torch.linalg.solve(by_z, by_x)
        row = x.clone().requires_grad_()
        at, held = scenario(asked, row[None]), seen(z, x).detach().reshape(1, 1, 1, -1)
        (claimed,) = torch.autograd.grad(log_density(asked, at, held, times(asked, at), since=0).sum(), row)
        assert torch.allclose(claimed, score, rtol=1e-6, atol=1e-9), "density, but ln p has other derivatives"


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Derivatives of every output by every input, differentiable again. Shape: -> output input."""
    at = x if x.requires_grad else x.detach().requires_grad_()
    values = function(at)
    rows = [torch.autograd.grad(value, at, create_graph=True)[0] for value in values.reshape(-1)]
    return torch.stack(rows).reshape(*values.shape, len(x))
