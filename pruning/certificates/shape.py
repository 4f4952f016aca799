"""Statements about the shape of a surrogate that are proven on the Box, or on a stated share of it.

For a call on the forward basket F with discount D (`pricing.references.discounted_forward`), and u the move of the
spots along D g w that raises D F by 1 (a put mirrored):

    V >= max(D (F - K), 0) - eps,    -eps <= delta u <= 1 + eps,    u'Hu >= -eps

eps is a share of the statement's own scale: the network's largest value, 1, its largest gamma, as met at random points.
What is proven is about the network as a function of real numbers with its float64 weights, on the assumption that
`pruning.intervals.interval.ACTIVATION_ULPS` makes of exp, sigmoid and tanh; evaluating it rounds in addition, in
float64 and much more in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pricing.draws import stream, uniforms
from pricing.references.discounted_forward import affine_payment
from pricing.specs.problem import PricingProblem
from pruning.certificates.chart import BoxChart, LinearForm, chart
from pruning.certificates.jets import Jet, affordable, middle, reach, sweep
from pruning.certificates.search import Cover, Question, best_cover, round_up
from pruning.errors import PruningError
from pruning.intervals.interval import EPSILON, Interval, affine, interval_of, subtract
from surrogate.functions.network import Network, hessian_vector

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
# fewer (`pruning.certificates.jets.affordable`), so that it stays at seconds, and less is proven of them.
BUDGET = 20_000
# Relative rounding of a forward: a thousand terms of a dot product and an exponential.
FORWARD_ERROR = 1e-12


@dataclass(frozen=True, kw_only=True)
class Yardstick:
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
    """The chart of a network's Box and its cover by sub-boxes; quantity i is the violation of statement i.

    Shape: points (batch, input), scale one a statement.
    """

    chart: BoxChart
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
    unit. No statement is tried of a problem whose forward is not affine in its features.

    Args:
        network: single output, raw units, smooth activations.
        budget: sub-boxes tried at most.
        seed: draws the points.

    Raises:
        PruningError: an activation with a kink, whose gamma is not a function.
    """
    if affine_payment(problem) is None:
        return []
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
    yardstick = yardstick_of(network, problem, points)
    rows = torch.cat([network.weights[0], yardstick.slope[None]]), torch.cat([network.biases[0], yardstick.constant])
    charts = [chart(box, *rows, turned=turned) for turned in (True, False)]
    direction = affine(network.weights[0], Interval(yardstick.along[None], yardstick.along[None]))

    def ask(coordinates: BoxChart) -> Question:
        first = coordinates.form(network.weights[0], network.biases[0])
        payment = coordinates.form(yardstick.slope[None], yardstick.constant, yardstick.slack)

        def enclose(t: Interval) -> tuple[Interval, Tensor]:
            jet, centre = sweep(network, first, direction, t, order=2)
            return violations(jet, centre, payment, t, scale=yardstick.scale)

        return Question(
            chart=coordinates,
            enclose=enclose,
            observe=lambda x: observed(network, yardstick, x),
            tolerance=torch.full_like(yardstick.scale, tolerance),
            scale=torch.ones_like(yardstick.scale),
            floor=torch.zeros_like(yardstick.scale),
        )

    slopes = max(len(coordinates.directions) for coordinates in charts)
    entries, budget = (
        len(STATEMENTS) * slopes * max(network.widths[1:]),
        min(budget, affordable(network.widths, slopes)),
    )
    coordinates, cover = best_cover(ask, charts, points, budget=budget, entries=entries)
    return Proof(chart=coordinates, cover=cover, points=points, scale=yardstick.scale.tolist())


def yardstick_of(network: Network, problem: PricingProblem, features: Tensor) -> Yardstick:
    """Forward, direction and scales; the rounding of the forward goes into ``slack``.

    Shape: batch input ->.

    Raises:
        PruningError: the forward is not affine in the features.
    """
    payment = affine_payment(problem)
    if payment is None:
        raise PruningError("problem: shapes are proven of calls and puts on a basket as functions of their spots alone")
    slope, constant = torch.from_numpy(payment.slope), payment.constant
    along = slope / slope.dot(slope)
    size = slope.abs() @ features.abs().amax(dim=0) * 2.0 + abs(constant)
    with torch.no_grad():
        value, _, product = hessian_vector(network, features, along.expand(len(features), 1, -1))
    scale = [float(value.abs().max()) or 1.0, 1.0, 1.0, float((product[:, 0] @ along).abs().max()) or 1.0]
    return Yardstick(
        slope=slope,
        constant=slope.new_tensor([constant]),
        slack=(FORWARD_ERROR * size)[None],
        along=along,
        scale=torch.tensor(scale, dtype=slope.dtype),
    )


def violations(jet: Jet, centre: Jet, payment: LinearForm, t: Interval, *, scale: Tensor) -> tuple[Interval, Tensor]:
    """How far each statement is from holding, as a share of its scale, and how far each coordinate carries it.

    Shape: -> (box, statement); (box, statement, coordinate).
    """
    (value, delta, gamma), slopes = ([_only(each) for each in several] for several in (jet.orders, jet.slopes))
    over, at = (Interval(ends.lower[:, 0], ends.upper[:, 0]) for ends in (payment.over(t), payment.over(middle(t))))
    steep = subtract(Interval(payment.slope, payment.slope), slopes[VALUE])
    short = subtract(at, _only(centre.orders[VALUE])).widen(reach(steep, t.radius)).meet(subtract(over, value))
    missing = Interval(torch.maximum(short.lower, -value.upper), torch.maximum(short.upper, -value.lower))
    zero, one = torch.zeros_like(delta.lower), torch.ones_like(delta.lower)
    short_of = [
        missing,
        subtract(Interval(zero, zero), delta),
        subtract(delta, Interval(one, one)),
        subtract(Interval(zero, zero), gamma),
    ]
    ranges = Interval(
        torch.stack([each.lower for each in short_of], dim=1), torch.stack([each.upper for each in short_of], dim=1)
    )
    shares = Interval(ranges.lower / scale, ranges.upper / scale)
    carried = torch.stack(
        [torch.maximum(steep.magnitude, slopes[VALUE].magnitude), *(slopes[i].magnitude for i in (SLOPE, SLOPE, BEND))],
        dim=1,
    )
    return shares.widen(EPSILON * shares.magnitude), carried * t.radius[:, None]


def observed(network: Network, yardstick: Yardstick, x: Tensor) -> Tensor:
    """The same violations at points, to rounding. Shape: batch input -> batch statement."""
    value, gradient, product = hessian_vector(network, x, yardstick.along.expand(len(x), 1, -1))
    delta, gamma = gradient @ yardstick.along, product[:, 0] @ yardstick.along
    intrinsic = (x @ yardstick.slope + yardstick.constant).clamp(min=0.0)
    return torch.stack([intrinsic - value, -delta, delta - 1.0, -gamma], dim=1) / yardstick.scale


def _only(entry: Interval) -> Interval:
    """Of the one direction and the one output. Shape: ... 1 1 -> ..."""
    return Interval(entry.lower[..., 0, 0], entry.upper[..., 0, 0])
