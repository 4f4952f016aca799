"""What a smooth join of two straight lines costs, knot by knot.

A join at p of lines f and g with g - f = b (x - p) + j is b times a ramp and j times a step: with the kernel "logistic"

    (1 - sigma) f + sigma g,    sigma = 1 / (1 + exp(-(x - p) / w)).

A step's kernel stands in place of the Dirac mass of its slope; that of all kernels but "logistic" is the ramp's. What
smoothing misses is linear in b and j, so that joins add up their biases however near to each other they are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.hermite_e import hermeval

from pricing.simulation.smoothing import BIAS, relative_gamma_bias, stated_bias
from pricing.specs.estimator import Kernel, Smoothed
from pricing.specs.payoff import Payoff
from pricing.specs.pieces import Join, Pieces
from pricing.types import Array

# Order and coefficient of a step's kernel: the slope of the logistic function is that of softplus's.
STEP_BIAS: dict[Kernel, tuple[int, float]] = {**BIAS, "logistic": BIAS["softplus"]}
# Where |He_m(d) n(d)| is looked for at its largest; both are even or odd in d.
MONEYNESSES = np.linspace(0.0, 4.0, 4001)


def join_bias(kernel: Kernel, ratio: float, d: Array, *, jump: bool) -> tuple[Array, Array, Array]:
    """Biases of value, delta and gamma by the forward, leading order in kappa.

    With j = 1 of a jump and 0 of a bend, of size 1, the i-th in units of s^(1 - i - j) is

        c kappa^k (-1)^(i + j) He_(k - 2 + i + j)(d) n(d).

    Shape: d any -> the same, three times.
    """
    order, coefficient = (STEP_BIAS if jump else BIAS)[kernel]
    scale = coefficient * ratio**order * np.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)

    def derivative(i: int) -> Array:
        number = i + int(jump)
        found: Array = (-1.0) ** number * scale * hermeval(d, np.eye(order + number + 1)[order - 2 + number])
        return found

    return derivative(0), derivative(1), derivative(2)


def stated_joins(payoff: Payoff, estimator: Smoothed) -> list[dict[str, float]]:
    """What the width costs at every join of a payoff that names them, largest over all moneynesses.

    The value's bias by a bend is in units of the basket's terminal standard deviation, by a jump in currency; those of
    the bend's gamma and the jump's delta are shares of what they are at the money, where they are largest.
    """
    match payoff:
        case Pieces(knots=knots, joins=joins):
            return [{"knot": knot, **_stated(join, estimator)} for knot, join in zip(knots, joins, strict=True)]
        case _:
            return []


def _stated(join: Join, estimator: Smoothed) -> dict[str, float]:
    kernel, ratio = estimator.kernel, stated_bias(estimator)["width"]
    row = {"width": ratio}
    if join.bend:
        value = np.abs(join_bias(kernel, ratio, MONEYNESSES, jump=False)[0]).max()
        gamma = relative_gamma_bias(kernel, ratio, 0.0)
        row |= {"value_over_deviation": abs(join.bend) * float(value), "relative_gamma": gamma}
    if join.jump:
        value, slope, _ = join_bias(kernel, ratio, MONEYNESSES, jump=True)
        delta = float(slope[0]) * math.sqrt(2.0 * math.pi)
        row |= {"value": abs(join.jump) * float(np.abs(value).max()), "relative_delta": delta}
    return row
