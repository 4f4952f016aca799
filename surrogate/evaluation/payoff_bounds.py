"""What follows from a payoff's sentences alone, whatever the model: between what its value lies, what moves it where.

Every simulated asset moves with its own spot, path by path, and discounting is certain. So

    digital              0 <= V <= D cash, each delta has the sign of its weight (a put's the other)
    barrier              0 <= V <= D K of a put; survival and payment both rise, or both fall, with the spot, or nothing
    autocall             0 <= V <= notional (1 + n coupon) max_k D_k; no derivative by the knock-in is above 0, nor by
                         the coupon barrier, where a coupon that is paid later is worth no more

Levels that may be negative leave the bounds of digitals alone. A note has no sign by the spots: one that is called
early pays no further coupons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from pricing.simulation.scenario import dates, discount, scenario
from pricing.specs.european import Digital
from pricing.specs.payoff import Autocall, Barrier
from pricing.specs.problem import PricingProblem
from pricing.types import Array


@dataclass(frozen=True, kw_only=True)
class Follows:
    """What follows at some points.

    Args:
        low, high: of the value, None where nothing does. Shape: batch.
        signs: of the derivatives by the features of a name, 0 where nothing follows. Shape: each coordinate.
    """

    low: Array | None
    high: Array | None
    signs: dict[str, Array]


def follows(problem: PricingProblem, features: Array) -> Follows | None:
    """What follows from the payoff, None of those without such sentences. Shape: features batch feature."""
    at = scenario(problem, torch.from_numpy(features))
    until = dates(problem.payoff, at)
    paid = discount(problem.process, at, until)[:, 0].expand(len(features), -1).numpy()
    positive, none = problem.process.facts.positive, np.zeros(len(features))
    match problem.payoff:
        case Digital(weights=weights, side=side, cash=cash):
            rises = np.sign(weights) * (1.0 if side == "call" else -1.0)
            return Follows(low=none, high=cash * paid[:, -1], signs={"spot": rises})
        case Barrier(side=side):
            strike = np.broadcast_to(at.scalar("strike").numpy()[:, 0], len(features))
            high = paid[:, -1] * strike if side == "put" and positive else None
            return Follows(low=none, high=high, signs={"spot": np.array([_rises(problem.payoff)])})
        case Autocall() as note if positive:
            high = note.notional * (1.0 + len(note.dates) * note.coupon) * paid.max(axis=1)
            return Follows(low=none, high=high, signs=_by_levels(note, paid))
        case _:
            return None


def _rises(payoff: Barrier) -> float:
    """1 where survival and payment rise with the spot, -1 where both fall, else 0."""
    survives = 1.0 if (payoff.direction == "down") == (payoff.knock == "out") else -1.0
    pays = 1.0 if payoff.side == "call" else -1.0
    return survives if survives == pays else 0.0


def _by_levels(note: Autocall, paid: Array) -> dict[str, Array]:
    """Signs by the levels of a note. Shape: paid batch date."""
    falls = all((paid[:, i] >= paid[:, j]).all() for i, j in pairwise(range(paid.shape[1])))
    signs = {"knock_in": np.array([-1.0])}
    return signs | ({"coupon_barrier": np.array([-1.0])} if falls or not note.memory else {})
