"""Statements about the shape of a surrogate that are proven on the Box, or on a stated share of it.

For a call on the forward basket F with discount D, and u the move of the spots along D g w that raises D F by 1 (a put
mirrored), as `surrogate.evaluation.shape_checks` asks them at points:

    V >= max(D (F - K), 0) - eps,    -eps <= delta u <= 1 + eps,    u'Hu >= -eps

eps is a share of the statement's own scale: the largest value, 1, the largest gamma. What is proven is about the
network as a function of real numbers with the float64 weights it has, on the assumption that
`pruning.intervals.interval.ACTIVATION_ULPS` makes of exp, sigmoid and tanh; evaluating it rounds in addition, in
float64 and much more in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pricing import analytic
from pricing.draws import stream, uniforms
from pricing.spec import PricingProblem
from pruning.errors import PruningError
from pruning.intervals.chart import Chart, Form, chart
from pruning.intervals.interval import EPSILON, Interval, affine, interval_of, subtract
from pruning.intervals.jets import Jet, affordable, middle, reach, sweep
from pruning.intervals.search import Cover, Question, best_cover, round_up
from surrogate.evaluation import REFERENCE_ERROR, other_side
from surrogate.network import Network, hessian_vector

STATEMENTS = (
    "value >= intrinsic",
    "delta along the basket >= 0",
    "delta along the basket <= 1",
    "gamma along the basket >= 0 (convex)",
)
VALUE, SLOPE, BEND = range(3)
# Points of the Box that scales and shares are measured on.
POINTS = 4096
# Sub-boxes tried: a second or two for networks of 7-3-3-1 to 7-20-20-1 that need all of them. Larger networks are given
# fewer (`pruning.intervals.jets.affordable`), so that it stays at seconds, and less is proven of them.
BUDGET = 20_000


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a network is held against, as tensors.

    Shape: slope and along (input,), a vector of the forward D (F - K) = slope x + constant and u; scale (statement,).
    """

    slope: Tensor
    constant: Tensor
    slack: Tensor
    along: Tensor
    scale: Tensor


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The chart of a network's Box and its cover by sub-boxes; quantity i is the violation of statement i."""

    chart: Chart
    cover: Cover
    points: Tensor
    scale: list[float]


def prove_shape(
    network: Network, problem: PricingProblem, *, tolerance: float, budget: int = BUDGET, seed: int
) -> list[dict[str, Any]]:
    """The statements with the share of the Box that each is proven on, and the eps proven on all of it.

    ``proven`` is for eps = ``tolerance`` on the whole Box. Where it is not, ``share`` is an estimate: the part of
    `POINTS` random points outside every sub-box that the proof failed on. ``smallest_tolerance`` is proven on the whole
    Box, None if nothing is, as of a network too large for a single sub-box; times ``scale`` it is in the statement's
    unit.

    Args:
        network: single output, raw units, smooth activations.
        budget: sub-boxes tried at most.
        seed: draws the points.

    Raises:
        PruningError: an activation with a kink, whose gamma is not a function.
    """
    proof = prove(network, problem, tolerance=tolerance, budget=budget, seed=seed)
    t = proof.chart.coordinates(proof.points)
    entries = []
    for i, statement in enumerate(STATEMENTS):
        bound = round_up(max(float(proof.cover.bounds[i]), 0.0))
        proven = bound is not None and bound <= tolerance
        left_out = 0.0 if proven else float(proof.cover.holding(t, above=tolerance, quantity=i).double().mean())
        entries.append(
            {
                "statement": statement,
                "tolerance": tolerance,
                "scale": proof.scale[i],
                "proven": proven,
                "share": 1.0 - left_out,
                "share_is": "whole Box" if proven else f"estimate from {len(t)} points",
                "smallest_tolerance": bound,
                "sub_boxes": proof.cover.tried,
            }
        )
    return entries


def prove(network: Network, problem: PricingProblem, *, tolerance: float, budget: int = BUDGET, seed: int) -> Proof:
    """The cover behind `prove_shape`."""
    if network.activation == "relu":
        raise PruningError(
            "activation: 'relu' has no gamma that could be bounded; shapes are proven of smooth networks"
        )
    box = interval_of(problem.box)
    generator = stream("certificate", seed=seed)
    features = problem.box.from_uniforms(uniforms("sobol", POINTS, problem.box.dimension, generator=generator))
    points = torch.from_numpy(features)
    contract = contract_of(problem, points)
    rows = torch.cat([network.weights[0], contract.slope[None]]), torch.cat([network.biases[0], contract.constant])
    charts = [chart(box, *rows, turned=turned) for turned in (True, False)]
    direction = affine(network.weights[0], Interval(contract.along[None], contract.along[None]))

    def ask(coordinates: Chart) -> Question:
        first = coordinates.form(network.weights[0], network.biases[0])
        forward = coordinates.form(contract.slope[None], contract.constant, contract.slack)

        def enclose(t: Interval) -> tuple[Interval, Tensor]:
            jet, centre = sweep(network, first, direction, t, order=2)
            return violations(jet, centre, forward, t, scale=contract.scale)

        return Question(
            chart=coordinates,
            enclose=enclose,
            observe=lambda x: observed(network, contract, x),
            tolerance=torch.full_like(contract.scale, tolerance),
            scale=torch.ones_like(contract.scale),
            floor=torch.zeros_like(contract.scale),
        )

    slopes = max(len(coordinates.directions) for coordinates in charts)
    entries, budget = (
        len(STATEMENTS) * slopes * max(network.widths[1:]),
        min(budget, affordable(network.widths, slopes)),
    )
    coordinates, cover = best_cover(ask, charts, points, budget=budget, entries=entries)
    return Proof(chart=coordinates, cover=cover, points=points, scale=contract.scale.tolist())


def contract_of(problem: PricingProblem, features: Tensor) -> Contract:
    """Forward, direction and scales; the forward is linear in the spots, its rounding goes into ``slack``."""
    exact, opposite = (analytic.greeks(p, features.numpy()) for p in (problem, other_side(problem)))
    slope = torch.from_numpy(exact.delta - opposite.delta)[0]
    along = slope / slope.dot(slope)
    first = float(exact.value[0] - opposite.value[0])
    constant = first - features[0] @ slope
    size = slope.abs() @ features.abs().amax(dim=0) * 2.0 + float(exact.value[0] + opposite.value[0])
    bend = torch.einsum("nij,i,j->n", torch.from_numpy(exact.gamma), along, along)
    scale = [float(exact.value.max()) or 1.0, 1.0, 1.0, float(bend.max()) or 1.0]
    return Contract(
        slope=slope,
        constant=constant[None],
        slack=(REFERENCE_ERROR * size)[None],
        along=along,
        scale=torch.tensor(scale, dtype=slope.dtype),
    )


def violations(jet: Jet, centre: Jet, forward: Form, t: Interval, *, scale: Tensor) -> tuple[Interval, Tensor]:
    """How far each statement is from holding, as a share of its scale, and how far each coordinate carries it.

    Shape: -> (box, statement); (box, statement, coordinate).
    """
    (value, delta, gamma), slopes = ([_only(part) for part in parts] for parts in (jet.parts, jet.slopes))
    over, at = (Interval(ends.lower[:, 0], ends.upper[:, 0]) for ends in (forward.over(t), forward.over(middle(t))))
    steep = subtract(Interval(forward.slope, forward.slope), slopes[VALUE])
    short = subtract(at, _only(centre.parts[VALUE])).widen(reach(steep, t.radius)).meet(subtract(over, value))
    missing = Interval(torch.maximum(short.lower, -value.upper), torch.maximum(short.upper, -value.lower))
    zero, one = torch.zeros_like(delta.lower), torch.ones_like(delta.lower)
    found = [
        missing,
        subtract(Interval(zero, zero), delta),
        subtract(delta, Interval(one, one)),
        subtract(Interval(zero, zero), gamma),
    ]
    ranges = Interval(torch.stack([f.lower for f in found], dim=1), torch.stack([f.upper for f in found], dim=1))
    shares = Interval(ranges.lower / scale, ranges.upper / scale)
    carried = torch.stack(
        [torch.maximum(steep.magnitude, slopes[VALUE].magnitude), *(slopes[i].magnitude for i in (SLOPE, SLOPE, BEND))],
        dim=1,
    )
    return shares.widen(EPSILON * shares.magnitude), carried * t.radius[:, None]


def observed(network: Network, contract: Contract, x: Tensor) -> Tensor:
    """The same violations at points, to rounding. Shape: batch input -> batch statement."""
    value, gradient, product = hessian_vector(network, x, contract.along.expand(len(x), 1, -1))
    delta, gamma = gradient @ contract.along, product[:, 0] @ contract.along
    intrinsic = (x @ contract.slope + contract.constant).clamp(min=0.0)
    return torch.stack([intrinsic - value, -delta, delta - 1.0, -gamma], dim=1) / contract.scale


def _only(part: Interval) -> Interval:
    """Of the one direction and the one output. Shape: ... 1 1 -> ..."""
    return Interval(part.lower[..., 0, 0], part.upper[..., 0, 0])
