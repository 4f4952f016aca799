"""Where the exercise dates of a Bermudan meet pieces of time as the maturity moves them. Torch-free.

One rule serves all maturities of a Box. Where a date meets the start of a piece theta jumps, and the exercise boundary
bends; between two such maturities the rule still has to tell steps of different volatilities and rates apart by the
maturity alone, and theta is of first order in what it misses.
"""

from __future__ import annotations

from pricing.errors import InvalidSpec
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem

# Maturities that a sentence names.
SHOWN = 6


def pieces(problem: PricingProblem) -> tuple[tuple[float, str], ...]:
    """Starts of the pieces that change something, with their field."""
    process, varying = problem.process, {feature.name for feature in problem.features}
    return tuple(
        (piece.start, f"{name}_pieces[{i}]")
        for name, parameter in (("rate", "rate"), ("volatility", "volatility_scale"))
        for i, piece in enumerate(getattr(process, f"{name}_pieces", ()))
        if parameter in varying or piece.value != process.parameters[parameter][i]
    )


def crossings(problem: PricingProblem) -> tuple[float, ...]:
    """Maturities at which an exercise date of a Bermudan meets the start of a piece, increasing."""
    if not isinstance(problem.payoff, Bermudan):
        return ()
    return tuple(sorted({start / share for start, _ in pieces(problem) for share in problem.payoff.dates}))


def require_one_rule(problem: PricingProblem) -> None:
    """Raise InvalidSpec for a Bermudan whose maturity varies while pieces start before its upper end."""
    names = [feature.name for feature in problem.features]
    if not isinstance(problem.payoff, Bermudan) or "maturity" not in names:
        return
    place = names.index("maturity")
    (low,), (high,) = problem.features[place].lower, problem.features[place].upper
    started = sorted((start, field) for start, field in pieces(problem) if start < high)
    if not started:
        return
    first, field = started[0]
    inside = [maturity for maturity in crossings(problem) if low < maturity < high]
    shown = ", ".join(f"{maturity:.6g}" for maturity in inside[:SHOWN]) + (", ..." if len(inside) > SHOWN else "")
    met = f", and exercise dates meet pieces at {shown}, where theta jumps" if inside else ""
    raise InvalidSpec(
        f"problem.features[{place}]: maturity goes from {low:g} to {high:g} years while process.{field} starts at "
        f"{first:g}{met}; one exercise rule for all maturities would leave theta wrong by several percent to tens of "
        f"them: build one model for each maturity, let maturities end at {first:g}, or leave the pieces out",
        path=f"problem.features[{place}].upper",
        bound=first,
    )
