"""A closed form near the value, beside which only a difference is learnt: a control variate for the network.

    V(x) = C(x) + A(x) h(u(x))

C is Black's formula for one lognormal with the forward F and the second moment of the basket
sum_i a_i e^(X_i - x_i^2 / 2), a_i = w_i S_i e^(b_i T), X normal of deviations x_i = sigma_i sqrt(T) correlated by rho,

    call:  C = D (F N(d) - K N(d - s)),    d = ln(F / K) / s + s / 2,    F = sum_i a_i,
    F^2 (e^(s^2) - 1) = sum_ij a_i a_j (e^(rho_ij x_i x_j) - 1)

where x_i^2 is the expected variance to the maturity if the variance is random. Near the truth it need not be the truth:
the network learns what is missing, which is a percent of the value where the network alone would learn all of it. The
labels are as they were, and so is their noise.

References: Levy (1992), "Pricing European average rate currency options"; Brigo, Mercurio, Rapisarda & Scotti (2004),
"Approximated moment-matching dynamics for basket-options pricing"; Black (1976).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston
from surrogate.reductions import geometric
from surrogate.reductions.alive import unscaled
from surrogate.reductions.expressions import (
    Expression,
    clamp,
    constant,
    exp,
    log,
    normal,
    product,
    square_root,
    total,
)
from surrogate.reductions.reduction import Leaves, Reduction, bounds, parameters
from surrogate.reductions.schedule import integral
from surrogate.reductions.variance import correlated_squares

# What C is, in words.
CONTROL = "Black's formula for a lognormal with the forward and the second moment of what is paid on"
# Terms of e^c - 1 where volatilities or correlations vary: at 0.5 of a deviation the next is 1e-3 of the first.
TERMS = 3
# No forward is taken to be a smaller share of the strike, and no variance a smaller share of the squared forward.
LEAST = 1e-12


def with_the_control(problem: PricingProblem, found: Reduction | str) -> Reduction | str:
    """The reduction, or the value as it is, less a closed form; itself where none is near."""
    reduction = found
    if isinstance(reduction, str):
        reduction = replace(unscaled(problem), leaves=positive(problem), unit=constant(1.0))
    canonical = reduction.canonical
    if reduction.leaves is None or reduction.unit is None:
        return found
    if not concerns(canonical) or obstacle(canonical) is not None:
        return found
    return replace(
        reduction,
        kind=reduction.kind.replace("V = ", "V = C + "),
        control=reduction.unit * matched(canonical, reduction.leaves),
        local_control=matched(canonical, positive(canonical)),
    )


def positive(problem: PricingProblem) -> Leaves:
    """The parameters, those above 0 that have logarithms or roots of their own; the spots have none."""
    return {**geometric.away_from_zero(problem), "spot": parameters(problem)["spot"]}


def concerns(problem: PricingProblem) -> bool:
    """Whether it is a product that has a closed form near it which is not the value itself."""
    process, payoff = problem.process, problem.payoff
    if not isinstance(process, BlackScholes | Heston) or not isinstance(payoff, Call | Put | Digital):
        return False
    return process.assets > 1 or not process.facts.lognormal


def obstacle(problem: PricingProblem) -> str | None:
    """Why the closed form is not near in all of the Box; None where it is."""
    process, payoff, at = problem.process, problem.payoff, parameters(problem)
    assert isinstance(payoff, Call | Put | Digital)
    if process.facts.dividends:
        return "dividends are paid at fixed times"
    if process.facts.random_variance and process.volatility_pieces:
        return "volatilities change at fixed times, and the variance is random"
    if min(payoff.weights) <= 0.0:
        return "not all weights are above 0"
    parts = {name: at[name] for name in ("spot", "strike", "maturity")}
    parts["the variance to the maturity"] = geometric.variances(problem, at)
    for name, part in parts.items():
        if (least := float(bounds(part, problem.box)[0].min())) <= 0.0:
            return f"{name} goes down to {least:g} in the Box; let it start above 0"
    return None


def matched(problem: PricingProblem, at: Leaves) -> Expression:
    """C of a call, put or digital on a basket.

    Args:
        at: the parameters of the problem as formulas, all but the spots above 0 wherever they are asked for.
    """
    process, payoff = problem.process, problem.payoff
    assert isinstance(payoff, Call | Put | Digital)
    interest = integral(at["rate"], process.rate_pieces, at["maturity"])
    discount, strike, sign = exp(-interest), at["strike"], 1.0 if payoff.side == "call" else -1.0
    parts = at["spot"] * exp(geometric.growth(problem, at)) * constant(payoff.weights) / strike
    forward = clamp(total(parts), LEAST)
    deviations = square_root(geometric.variances(problem, at))
    if process.facts.random_variance:
        deviations = deviations * at["volatility_scale"]
    variance = excess(problem, at, parts, deviations)
    s = square_root(log(clamp(variance / (forward * forward), LEAST) + 1.0))
    ahead = log(forward) / s + s * 0.5
    below = normal((ahead - s) * sign)
    if isinstance(payoff, Digital):
        return discount * below * payoff.cash
    return discount * strike * (forward * normal(ahead * sign) - below) * sign


def excess(problem: PricingProblem, at: Leaves, parts: Expression, deviations: Expression) -> Expression:
    """The variance of the basket, sum_ij a_i a_j (e^(rho_ij x_i x_j) - 1). Shape: parts, deviations asset -> 1."""
    still = deviations.is_constant and not {"correlation", "loading"} & set(at)
    if still:
        rho = torch.tensor(problem.process.correlation, dtype=torch.float64)
        x = deviations.numbers.expand(1, problem.process.assets)[0]
        found = total(parts * product(parts, torch.expm1(rho * torch.outer(x, x))))
    else:
        power, found = constant(1.0), constant(0.0)
        for k in range(1, TERMS + 1):
            power = power * deviations
            found = found + correlated_squares(problem.process, at, parts * power, power=k) * (1.0 / math.factorial(k))
    return found
