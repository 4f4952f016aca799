"""What the pricing tests share: processes, payoffs and problems around a level of 100, and the draws to try them on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.draws import stream, to_normals, uniforms
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call, Digital
from pricing.specs.ito import ItoDiffusion
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process

ProcessType = TypeVar("ProcessType", bound=Process)

ONE, PAIR = ((1.0,),), ((1.0, 0.5), (0.5, 1.0))

GAUSSIAN = Bachelier(volatilities=(20.0,), correlation=ONE)
PLAIN = BlackScholes(volatilities=(0.2,), correlation=ONE)
CARRYING = BlackScholes(volatilities=(0.25,), correlation=ONE, rate=0.03, dividend_yields=(0.01,))
STOCHASTIC = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.5,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.7,),
    correlation=ONE,
)
SURFACE = LocalVolatility(
    volatilities=(0.2,), skews=(-0.4,), curvatures=(1.0,), powers=(0.4,), reference_spots=(100.0,), correlation=ONE
)
WRITTEN = ItoDiffusion(drifts=("0",), diffusions=("20 * (S / 100)^0.8",), correlation=ONE)

CALL = Call(weights=(1.0,), strike=100.0)
DIGITAL = Digital(weights=(1.0,), strike=100.0)
ASIAN = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0))
CONTINUOUS = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out")
DATED = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out", dates=(0.5, 1.0))
NOTE = Autocall(initial=(100.0,), dates=(0.5, 1.0), triggers=(1.0, 1.0), coupon=0.05, coupon_barrier=0.8, knock_in=0.6)
BERMUDAN = Bermudan(option=CALL, dates=(0.5, 1.0))
# Bounds of the parameters that may be negative.
LIMITS = {"spot_variance_correlation": (-1.0, 1.0), "skew": (-0.99, 0.99), "rate": (-1.0, 1.0)}


def uncorrelated(assets: int) -> tuple[tuple[float, ...], ...]:
    """The unit matrix."""
    return tuple(tuple(float(i == j) for j in range(assets)) for i in range(assets))


def alike(process: ProcessType, correlation: tuple[tuple[float, ...], ...]) -> ProcessType:
    """A process of one asset as one of as many that are alike, with that correlation."""
    numbers = {name: getattr(process, name) for name in process.__struct_fields__ if name != "correlation"}
    each = {name: n * len(correlation) for name, n in numbers.items() if isinstance(n, tuple) and len(n) == 1}
    return replace(process, correlation=correlation, **each)


def feature(name: str, low: float = 0.0, high: float = 1.0, *, size: int = 1) -> Feature:
    """A feature with the same bounds for all of its coordinates."""
    return Feature(name=name, lower=(low,) * size, upper=(high,) * size)


def problem_of(
    process: Process,
    payoff: Payoff,
    *others: Feature,
    maturity: float = 1.0,
    spots: tuple[float, float] = (50.0, 150.0),
) -> PricingProblem:
    """A problem whose features are the spots and the others."""
    features = (feature("spot", *spots, size=process.assets), *others)
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=features)


def unit_call(process: Process, *names: str, maturity: float = 1.0) -> PricingProblem:
    """A call struck at 1 as a function of the spot and those parameters, within bounds that any test stays in."""
    others = (feature(name, *LIMITS.get(name, (0.0, 3.0))) for name in names)
    call = Call(weights=(1.0,), strike=1.0)
    return problem_of(process, call, *others, maturity=maturity, spots=(0.0, 3.0))


def doubles(rows: object) -> Tensor:
    """Numbers as float64."""
    return torch.tensor(rows, dtype=torch.float64)


def points(problem: PricingProblem, spots: Sequence[float]) -> Tensor:
    """Those spots, every other feature as the specification has it. Shape: -> batch feature."""
    own = [value for feature in problem.features[1:] for value in problem.parameters[feature.name]]
    return doubles([[spot, *own] for spot in spots])


def normals(dimension: int, *, paths: int, seed: int = 0) -> Tensor:
    """Scrambled Sobol normals, one set a seed. Shape: -> 1 path dimension."""
    draws = uniforms("sobol", paths, dimension, generator=stream("paths", seed, seed=seed))
    return torch.from_numpy(to_normals(draws))[None]


def asked(label: Tensor | None) -> Tensor:
    """A label that was asked for."""
    assert label is not None
    return label


def conditional_call(problem: PricingProblem, features: Tensor, normals: Tensor) -> Tensor:
    """Black's formula over the first normal given the others, for a call on one asset at maturity.

    Shape: features batch feature, normals 1-or-batch path dimension -> batch path.
    """
    at = scenario(problem, features)
    until = times(problem, at)
    low, high = normals.clone(), normals.clone()
    low[..., 0], high[..., 0] = 0.0, 1.0
    still, moved = (simulate(problem.process, at, z, until) for z in (low, high))
    deviation = torch.log(moved.noise / still.noise)[:, :, -1, 0]
    forward = still.levels()[..., 0] * torch.exp(0.5 * deviation.square())
    strike = at.scalar("strike")
    d = torch.log(forward / strike) / deviation + 0.5 * deviation
    cash = forward * torch.special.ndtr(d) - strike * torch.special.ndtr(d - deviation)
    value: Tensor = still.discount[..., -1] * cash
    return value


def changed(plain: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the entry at a dotted path replaced."""
    result = copy.deepcopy(plain)
    *parents, last = path.split(".")
    node: Any = result
    for key in parents:
        node = node[int(key) if isinstance(node, list | tuple) else key]
    node[last] = value
    return result
