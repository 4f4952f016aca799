"""What means over the paths of a process owe its facts: carry from date to date, and derivatives by a law."""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.simulation.scenario import Scenario, growth
from pricing.specs.process import Process
from tests.conformance.estimates import LEVEL
from tests.conformance.walks import DATES, levels, normals, own, until, walk

PATHS, SETS = 1 << 11, 8
# Standard errors of eight path sets that are as rare as four known ones.
ERRORS = 9.0
# Share of a mean that a grid of four steps may bias.
GRID_BIAS = 0.005
# A move of a parameter by a share of itself, and the share of a level that no smooth dependence makes of it.
SHARE, JUMP = 0.01, 0.03
# A wide move, as few paths jump, and what its curvature may add to a difference.
WIDE, BENT = 0.25, 0.05


def check_martingale(process: Process) -> None:
    """E[S_t | S_k] = e^(G_t - G_k) S_k: what is left beside the carry is unrelated to where it starts."""
    if process.facts.dividends or not process.facts.carried:
        return
    at = own(process)
    grown = torch.exp(growth(process, at, until(DATES)))[0, 0]
    means = []
    for seed in range(SETS):
        first, second = levels(walk(process, at, normals(process, DATES, paths=PATHS, seed=seed)))[0].unbind(dim=1)
        left = second * (grown[0] / grown[1]) - first
        means.append((left * (first / LEVEL - 1.0)).mean(dim=0))
    rows = torch.stack(means)
    allowed = ERRORS * rows.std(dim=0) / SETS**0.5 + (GRID_BIAS * LEVEL if process.facts.grid is not None else 1e-9)
    assert bool((rows.mean(dim=0).abs() <= allowed).all()), (
        f"between the dates levels do not grow by the carry alone: covariance with where they start {rows.mean(dim=0)}"
    )


def check_jumps_in_parameters(process: Process) -> None:
    """At given normals levels jump in every parameter that ``by_law`` names: else its derivative is that of a path."""
    z = normals(process, (1.0,), paths=PATHS * SETS)
    for name in named(process):
        near, far = (levels(walk(process, moved(process, name, share), z, (1.0,))) for share in (0.0, SHARE))
        assert bool(((near - far).abs() > JUMP * LEVEL).any()), (
            f"by_law names {name}, but at given normals levels do not jump in it"
        )


def check_derivatives_by_law(process: Process) -> None:
    """The derivative of a mean by a parameter in ``by_law`` is the difference of means over a wide move of it."""
    for name in named(process):
        sets = [normals(process, (1.0,), paths=PATHS, seed=seed) for seed in range(SETS)]
        rows = torch.stack([both(process, name, z) for z in sets])
        derivative, difference = rows.mean(dim=0)
        errors = rows.std(dim=0).norm() / SETS**0.5
        assert bool((derivative - difference).abs() <= ERRORS * errors + BENT * difference.abs()), (
            f"the derivative of a mean by {name} is {derivative:.4g}, its difference {difference:.4g}"
        )


def named(process: Process) -> list[str]:
    """The parameters of its own, not all zero, that ``by_law`` names."""
    return [name for name in process.facts.by_law if any(process.parameters.get(name, ()))]


def moved(process: Process, name: str, share: float) -> Scenario:
    """The process with one parameter moved by a share of itself."""
    return own(process, **{name: tuple((1.0 + share) * value for value in process.parameters[name])})


def call(process: Process, at: Scenario, z: Tensor) -> Tensor:
    """The discounted mean of max(S - 100, 0), over assets and paths. Shape: -> ()."""
    paths = walk(process, at, z, (1.0,))
    return (paths.discount[..., -1:] * torch.relu(levels(paths)[:, :, -1] - LEVEL)).mean()


def both(process: Process, name: str, z: Tensor) -> Tensor:
    """The derivative by a share of the parameter, and the central difference. Shape: -> 2."""
    at = own(process)
    by = at.parameters[name].requires_grad_()
    (slope,) = torch.autograd.grad(call(process, at, z), by)
    up, down = (call(process, moved(process, name, share), z) for share in (WIDE, -WIDE))
    return torch.stack([(slope * by).sum().detach(), (up - down) / (2.0 * WIDE)])
