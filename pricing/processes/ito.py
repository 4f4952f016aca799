"""Coefficients of a user's own, dS = a(S, t) dt + b(S, t) dW, by Euler's or Milstein's step in S.

With v the volatility clock's share of a step of length h, in which the volatility pieces are, the drift is taken as
linear over the step: e(x) = (e^x - 1) / x, and subscripts are derivatives by S,

    S + a h e(a_S h) + b sqrt(w) z,   w = v e(2 a_S h)     Euler
    the same + b b_S w (z^2 - 1) / 2                       Milstein

so that a level which a linear drift pulls back by constant noise is right in any step. a, b and b_S are read at the
level where the step begins and in the middle of its time, which makes the error of what moves in time alone one of
second order. The last step is Euler's, so that S is affine in its normals: given where it starts its level is Gaussian,
and its error is one step's. As every b_i is of its own level and driver, Milstein's step needs no mixed integrals
whatever the correlation. ``forward`` is the path without noise: where a is linear in S and b free of it, the noise is
the same from any spot.

References: Ito (1951); Ozaki (1992) for the drift; Milstein (1974); Kloeden & Platen (1992), 10.2 and 10.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pricing.elementary import exprel
from pricing.errors import NonFiniteLabels
from pricing.processes.grid import drivers, lengths, refined
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, discount, integral
from pricing.specs.evaluation import evaluate
from pricing.specs.expression import Expression
from pricing.specs.ito import ItoDiffusion

# Squared deviation of a step that stands for zero, where derivatives have to stay finite to second order.
LEAST_SQUARE = 1e-60


class Steps(NamedTuple):
    """The grid: middles, lengths, the clock's shares and the rates of its steps. Shape: step batch-or-1 1 1."""

    t: Tensor
    h: Tensor
    v: Tensor
    r: Tensor


class Group(NamedTuple):
    """Assets that share their coefficients, with the expressions, and how their fields are called."""

    assets: tuple[int, ...]
    drift: Expression
    diffusion: Expression


def simulate(process: ItoDiffusion, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, the last step's first, then step by step; until ``batch-or-1 1 date``.

    Raises:
        NonFiniteLabels: a path leads where a coefficient is not finite.
    """
    grid, constants = steps_of(process, at, until), constants_of(process, at)
    z = drivers(process, at, normals, len(grid.t))
    every = len(grid.t) // until.shape[-1]
    forwards, levels, order = [], [], []
    for group in groups(process):
        columns = list(group.assets)
        own = z if len(columns) == process.assets else tuple(step[..., columns] for step in z)
        still, moved = walk(process, group, constants, at["spot"][..., columns], grid, own)
        forwards.append(torch.stack(still[every - 1 :: every], dim=2))
        levels.append(torch.stack(moved[every - 1 :: every], dim=2))
        order += columns
    back = torch.tensor(order).argsort()
    forward, level = (torch.cat(parts, dim=-1)[..., back] for parts in (forwards, levels))
    return Paths(forward=forward, noise=level - forward, law="additive", discount=discount(process, at, until))


def groups(process: ItoDiffusion) -> list[Group]:
    """The assets by their coefficients."""
    alike: dict[tuple[str, str], list[int]] = {}
    for i, (a, b) in enumerate(process.coefficients):
        alike.setdefault((a.text, b.text), []).append(i)
    return [Group(tuple(assets), *process.coefficients[assets[0]]) for assets in alike.values()]


def steps_of(process: ItoDiffusion, at: Scenario, until: Tensor) -> Steps:
    """The steps from now to the last date, as many between any two. Shape: until batch-or-1 1 date."""
    grid = refined(process, until)
    h, v = lengths(grid), lengths(clock(process, at, grid))
    if process.rate_pieces:
        r = lengths(integral(at["rate"], process.rate_pieces, grid)) / h.clamp(min=LEAST_SQUARE)
    else:
        r = at["rate"].expand_as(h)
    return Steps(*(field.movedim(-1, 0)[..., None] for field in (grid - 0.5 * h, h, v, r)))


def constants_of(process: ItoDiffusion, at: Scenario) -> dict[str, Tensor]:
    """The constants by their names. Shape: batch-or-1 1 1 each."""
    names = sorted(process.constants)
    return {name: at["constant"][..., i : i + 1] for i, name in enumerate(names)}


def walk(
    process: ItoDiffusion,
    group: Group,
    constants: Mapping[str, Tensor],
    spot: Tensor,
    grid: Steps,
    z: tuple[Tensor, ...],
) -> tuple[list[Tensor], list[Tensor]]:
    """The path without noise and the paths, after every step. Shape: spot batch 1 asset -> batch 1-or-path asset."""
    still, moved, x, y = list[Tensor](), list[Tensor](), spot, spot
    milstein = process.scheme == "milstein"
    for j, (t, h, v, r) in enumerate(zip(*grid, strict=True)):
        there = {**constants, "t": t, "r": r}
        x = x + drifted(group, {**there, "S": x}, h, x)[0]
        y = y + increment(group, {**there, "S": y}, h, v, z[j], milstein=milstein and j < len(z) - 1)
        still.append(x)
        moved.append(y)
    if not bool(torch.isfinite(y).all()):
        refuse(group, constants, [spot, *moved], grid)
    return still, moved


def increment(group: Group, there: Mapping[str, Tensor], h: Tensor, v: Tensor, z: Tensor, *, milstein: bool) -> Tensor:
    """What a step adds to the levels ``S``. Shape: z 1-or-batch path asset -> batch path asset."""
    like = z.new_tensor
    moved, slope_of_drift = drifted(group, there, h, z)
    w = v if slope_of_drift is None else v * exprel(2.0 * slope_of_drift * h)
    b, slope = evaluate(group.diffusion, there, like, library=torch)
    diffused: Tensor = moved + b * (w.clamp(min=LEAST_SQUARE).sqrt() * z)
    if slope is None or not milstein:
        return diffused
    corrected: Tensor = diffused + b * slope * (0.5 * w * (z.square() - 1.0))
    return corrected


def drifted(group: Group, there: Mapping[str, Tensor], h: Tensor, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """What the drift adds over a step of length h, and its slope by S, None where it is 0. Shape: as ``S``."""
    a, slope = evaluate(group.drift, there, like.new_tensor, library=torch)
    moved: Tensor = a * h if slope is None else a * (h * exprel(slope * h))
    return moved, slope


def refuse(group: Group, constants: Mapping[str, Tensor], levels: list[Tensor], grid: Steps) -> None:
    """Raise NonFiniteLabels about the first step that leads to no finite level. Shape: levels batch path asset."""
    j = next(j for j, after in enumerate(levels[1:]) if not bool(torch.isfinite(after).all()))
    bad = ~torch.isfinite(levels[j + 1])
    before, t = levels[j].detach().expand_as(bad), grid.t[j].detach().expand_as(bad)
    level, time = float(before[bad][0]), float(t[bad][0])
    there = {name: value.detach() for name, value in {**constants, "t": grid.t[j], "r": grid.r[j]}.items()}
    found = ""
    for field, expression in (("drifts", group.drift), ("diffusions", group.diffusion)):
        values = evaluate(expression, {**there, "S": before}, before.new_tensor, library=torch)
        for word, value in (("", values.value), ("the derivative by S of ", values.slope)):
            if not found and value is not None and not bool(torch.isfinite(value.expand_as(bad)[bad][0])):
                number = float(value.expand_as(bad)[bad][0])
                found = f"{word}process.{field}[{group.assets[0]}] = {expression.text[:80]!r} is {number:g}"
    raise NonFiniteLabels(
        f"a path: {found or 'a level overflows'} at S = {level:.6g}, t = {time:.6g}; write what holds there, such as "
        "max(S, 0) for S, or take more steps or a smaller Box"
    )
