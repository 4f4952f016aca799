"""Where the value bends as a function of the maturity: a date of the payoff meets a change of the rate or volatility.

Up to the bend the maturity buys time at one rate and volatility, from there on at another: theta jumps, and so does the
slope of every other Greek. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.european import Call, Digital, Put
from pricing.specs.parameters import PARAMETERS
from pricing.specs.problem import PricingProblem
from pricing.specs.schedule import Piece

# Changes that a network follows, per year and as a factor: theta keeps an R2 of 0.999 (`benchmarks/kinks.py`).
RATE_STEP, VOLATILITY_STEP = 0.01, 1.1
# A bend nearer to an end of the maturity than this share of its range lies at the end.
EDGE = 1e-3
# Maturities that a sentence lists.
LISTED = 4
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Kink:
    """A bend of the value.

    Args:
        maturity: where it is, years.
        share: of the payoff's date that meets the change.
        field, piece: what changes there.
        change: by how much, in words.
    """

    maturity: float
    share: float
    field: str
    piece: int
    change: str


def require_no_kink(problem: PricingProblem) -> None:
    """Raise InvalidSpec where the value bends in the Box by more than a network follows."""
    found = kinks(problem)
    if not found:
        return
    first = found[0]
    place = [feature.name for feature in problem.features].index("maturity")
    (low,), (high,) = problem.features[place].lower, problem.features[place].upper
    ends = [low, *sorted({kink.maturity for kink in found}), high]
    pieces = [f"[{begin:g}, {end:g}]" for begin, end in pairwise(ends)]
    ellipsis = ["..."] if len(pieces) > LISTED else []
    shown = f"{', '.join([*pieces[:-1][: LISTED - 1], *ellipsis])} and {pieces[-1]}"
    at = ", ".join(f"{end:g}" for end in ends[1:-1][:LISTED]) + (", ..." if len(ends) - 2 > LISTED else "")
    raise InvalidSpec(
        f"problem.features[{place}]: maturity goes from {low:g} to {high:g} years, and the value bends at {at}: at "
        f"{first.maturity:g} the payoff's date at {first.share:g} of the maturity meets process.{first.field}"
        f"[{first.piece}], which changes {first.change}, and theta jumps, which no smooth model shows; build one model "
        f"for each of the maturities {shown}, or keep the maturity constant",
        path=f"problem.features[{place}].upper",
        bound=first.maturity,
    )


def kinks(problem: PricingProblem) -> list[Kink]:
    """The bends inside the Box that are more than a network follows, by maturity; none where it is no feature."""
    maturity = next((feature for feature in problem.features if feature.name == "maturity"), None)
    if maturity is None:
        return []
    process, payoff = problem.process, problem.payoff.facts
    seen = tuple(share for share in payoff.dates if share <= payoff.last_look)
    found: list[Kink] = []
    for field, pieces, name, shares in (
        ("rate_pieces", process.rate_pieces, "rate", payoff.dates),
        ("volatility_pieces", process.volatility_pieces, "volatility_scale", seen),
    ):
        if name in problem.parameters:
            changes = rate_changes if name == "rate" else volatility_changes
            found += met(maturity, field, pieces, changes(*bounds(problem, name)), shares)
    return sorted(found, key=lambda kink: kink.maturity)


def met(
    maturity: Feature, field: str, pieces: Sequence[Piece], changes: Sequence[str | None], shares: Sequence[float]
) -> list[Kink]:
    """The bends by one kind of pieces: where a date at a share of the maturity meets one whose change is told."""
    (low,), (high,) = maturity.lower, maturity.upper
    edge = EDGE * (high - low)
    return [
        Kink(maturity=piece.start / share, share=share, field=field, piece=i, change=change)
        for i, (piece, change) in enumerate(zip(pieces, changes, strict=True))
        for share in shares
        if change is not None and low + edge < piece.start / share < high - edge
    ]


def rate_changes(low: Sequence[float], high: Sequence[float]) -> list[str | None]:
    """By how much the rate changes at most at every piece, in words; None where a network follows."""
    steps = [max(high[i + 1] - low[i], high[i] - low[i + 1]) for i in range(len(low) - 1)]
    return [
        f"the rate by {step:g} per year (more than {RATE_STEP:g})" if step > RATE_STEP + ROUNDING else None
        for step in steps
    ]


def volatility_changes(low: Sequence[float], high: Sequence[float]) -> list[str | None]:
    """By which factor the volatilities change at most at every piece, in words; None where a network follows."""

    def times(one: float, other: float) -> float:
        return one / other if other > 0.0 else float("inf") if one > 0.0 else 1.0

    factors = [max(times(high[i + 1], low[i]), times(high[i], low[i + 1])) for i in range(len(low) - 1)]
    return [
        f"the volatilities by a factor of {factor:.4g} (more than {VOLATILITY_STEP:g})"
        if factor > VOLATILITY_STEP + ROUNDING
        else None
        for factor in factors
    ]


def bounds(problem: PricingProblem, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Least and largest of every coordinate of a parameter in the Box."""
    for feature in problem.features:
        if feature.name == name:
            return feature.lower, feature.upper
    return problem.parameters[name], problem.parameters[name]


def straightened(problem: PricingProblem) -> bool:
    """Whether exact scaling (`surrogate.reductions`) knows the maturity by formulas that bend where the value does.

    The network behind them sees rates and variances added up to the maturity. What else scaling needs of the Box is
    looked at before anything is simulated.
    """
    process, payoff = problem.process, problem.payoff
    if process.facts.unscaled is not None or process.facts.dividends or payoff.facts.decided != "maturity":
        return False
    if not process.facts.positive:
        return isinstance(payoff, Call | Put | Digital) and "rate" not in problem.parameters
    if process.volatility_pieces and process.facts.random_variance:
        return False
    if payoff.facts.degree is None or {"strike", "knot"}.isdisjoint(payoff.facts.levels):
        return False
    units = [name for name in ("spot", *problem.parameters) if PARAMETERS[name].scaling in ("level", "maturity")]
    return all(min(bounds(problem, name)[0]) > 0.0 for name in units)
