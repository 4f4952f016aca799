"""Any piecewise linear payoff of a basket at maturity: what is paid on either side of every knot, joined there."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_finite, require_number
from pricing.specs.european import Call, Digital, Put, require_weights
from pricing.specs.facts import PayoffFacts
from pricing.specs.parameters import Parameters

# Every knot costs a formula in labels and reference.
MAXIMUM_KNOTS = 32
# Knots nearer than this share of their size are a jump: the bends between them would cancel in most of their digits.
LEAST_GAP = 1e-6


class Join(NamedTuple):
    """By how much slope and cash change at a knot, the latter in currency."""

    bend: float
    jump: float


class Leg(NamedTuple):
    """So many of an option that is struck at the knot of this number."""

    option: Call | Put | Digital
    knot: int
    amount: float


class Pieces(Spec, frozen=True, kw_only=True, tag_field="kind", tag="pieces"):
    """Pays on the basket B = w . S_T what the straight line of its interval says, lines that meet or jump at the knots.

    With knots K_1 < ... < K_n, slopes s_0 ... s_n and jumps j_1 ... j_n it pays

        cash + s_0 (B - K_1) + sum over i of ((s_i - s_(i-1)) (B - K_i)^+ + j_i 1{B > K_i}),

    so that a call spread has the slopes 0, 1, 0; a butterfly 0, 1, -1, 0; a straddle -1, 1; a digital 0, 0 and a jump.

    Args:
        weights: w, one per asset, of any sign.
        knots: K, currency, increasing by a millionth or more, 1 to 32; at a knot itself the piece below it is paid.
        slopes: one per interval, from below the first knot to above the last: one more than there are knots.
        jumps: by how much cash rises at each knot, currency; empty where the pieces meet everywhere.
        cash: what is paid at the first knot, come from below, currency.
    """

    weights: tuple[float, ...]
    knots: tuple[float, ...]
    slopes: tuple[float, ...]
    jumps: tuple[float, ...] = ()
    cash: float = 0.0

    def __post_init__(self) -> None:
        require_weights(self.weights)
        require_knots(self.knots)
        require_count("slopes", self.slopes, len(self.knots) + 1, f"one per interval of {len(self.knots)} knots")
        if self.jumps:
            require_count("jumps", self.jumps, len(self.knots), "one per knot, or none at all")
        require_number("cash", self.cash)
        for i, join in enumerate(self.joins):
            if join == Join(bend=0.0, jump=0.0):
                raise InvalidSpec(
                    f"knots[{i}]: neither slope nor cash changes at {self.knots[i]:g}; leave the knot out, or give "
                    "another slope or a jump",
                    path=f"knots[{i}]",
                )

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return len(self.weights)

    @property
    def parameters(self) -> Parameters:
        """What may vary."""
        return {"knot": self.knots}

    @property
    def joins(self) -> tuple[Join, ...]:
        """What changes at every knot."""
        jumps = self.jumps or (0.0,) * len(self.knots)
        bends = (after - before for before, after in pairwise(self.slopes))
        return tuple(Join(bend=bend, jump=jump) for bend, jump in zip(bends, jumps, strict=True))

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Calls, a put and digitals whose sum, with ``cash``, it is: the put pays what is below the first knot."""

        def struck(kind: type[Call] | type[Put] | type[Digital], knot: int, amount: float) -> Leg:
            return Leg(option=kind(weights=self.weights, strike=self.knots[knot]), knot=knot, amount=amount)

        rises = (self.slopes[1], *(join.bend for join in self.joins[1:]))
        every = [
            struck(Put, 0, -self.slopes[0]),
            *(struck(Call, knot, rise) for knot, rise in enumerate(rises)),
            *(struck(Digital, knot, join.jump) for knot, join in enumerate(self.joins)),
        ]
        return tuple(leg for leg in every if leg.amount != 0.0)

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        jumps, flat = any(self.jumps), not any(self.slopes)
        scales = flat or not (jumps or self.cash)
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=(0 if flat else 1) if scales else None,
            levels=("knot",) if scales else (),
            jumps=jumps,
            flat=flat,
            survives=False,
            unintegrated=None,
            ranked=False,
            weights=self.weights,
            vanilla=False,
            sized_by="weights",
            positive_levels=None,
            strike_unit="currency",
        )


def require_knots(knots: tuple[float, ...]) -> None:
    """Raise InvalidSpec unless there are 1 to MAXIMUM_KNOTS increasing knots."""
    if not 1 <= len(knots) <= MAXIMUM_KNOTS:
        raise InvalidSpec(
            f"knots: give 1 to {MAXIMUM_KNOTS}, got {len(knots)}; without any it is a forward, which needs no model",
            path="knots",
            bound=[1, MAXIMUM_KNOTS],
        )
    require_finite("knots", knots)
    for i, (below, above) in enumerate(pairwise(knots), start=1):
        gap = LEAST_GAP * max(abs(below), abs(above))
        if not (below < above and above - below >= gap):
            raise InvalidSpec(
                f"knots[{i}]: knots must increase, by {gap:g} or more, got {above!r} after {below!r}; a jump at a knot "
                "goes into 'jumps'",
                path=f"knots[{i}]",
                bound=below + gap,
            )


def require_count(name: str, numbers: tuple[float, ...], count: int, meaning: str) -> None:
    """Raise InvalidSpec unless there are so many numbers of a size that is meant."""
    if len(numbers) != count:
        raise InvalidSpec(f"{name}: give {count}, {meaning}, got {len(numbers)}", path=name, bound=count)
    require_finite(name, numbers)
