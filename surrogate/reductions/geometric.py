"""Black-Scholes and Heston: prices are homogeneous in spots and strike, and know time only through their parameters.

    V(x) = K D w h(z),    K the strike, or the first knot

The canonical problem has strike 1 and maturity 1. European payoffs have no rates there: spots become F_i / K,
discounting goes into D, and the volatility becomes scale sigma sqrt(T); in Heston's model v_0 T, kappa T, theta T and
xi T. Payoffs of the path keep r T and q T, with spots S_i / K, barriers H / K and D = 1.

The network sees z = ln(F_i / K) / w for spots and barriers, w the root of the mean variance to maturity, and the other
features as they are: in these units the kink has the same width everywhere, and short maturities are as easy as long
ones. A single call or put is also divided by sqrt(F / K), which evens out the two wings. Baskets, whose kink is a plane
in the spots, see F_i / K with the distance from that plane in widths, for weights a

    z = F / K + (a.F / K - 1) (1 / w - 1) a / |a|^2

since logarithms would bend the plane, and widths in all directions hide what the volatility of the basket depends on.

References: Merton (1973) on homogeneity; PRICING_MATH 12.
"""

from __future__ import annotations

import torch
from msgspec import UNSET
from msgspec.structs import replace

from pricing.domain import Box, Feature
from pricing.specs.asian import Asian
from pricing.specs.european import Call, Put
from pricing.specs.parameters import PARAMETERS, with_values
from pricing.specs.parameters import bounds as range_of
from pricing.specs.payoff import with_levels
from pricing.specs.problem import PricingProblem
from surrogate.reductions.expressions import (
    Expression,
    clamp,
    constant,
    exp,
    log,
    magnitude,
    product,
    reciprocal,
    square_root,
    total,
)
from surrogate.reductions.reduction import Leaves, Reduction, as_feature, beside, bounds, parameters
from surrogate.reductions.schedule import integral
from surrogate.reductions.variance import mean_over_time

# Below this share of their lower bounds, or this number, they stand still.
LEAST, TINY = 1e-3, 1e-12
# Down to this share of its largest the variance counts as 0: the Box would be thousands of its widths wide.
LEAST_VARIANCE = 1e-6
# Least share of its largest that the strike which past fixings leave may go down to and be scaled by.
LEAST_LEFT = 0.05
# Roles under scaling of parameters whose logarithms, roots or quotients enter the formulas.
POSITIVE = ("level", "maturity", "volatility", "pace")
# Those of what is divided by or into: 0 is none.
UNITS = ("level", "maturity")


def reduce(problem: PricingProblem) -> Reduction | str:
    """The reduction, or why there is none.

    As many features are a gain where the width of the kink varies: the network then sees it as one.
    """
    payoff, at = problem.payoff.facts, away_from_zero(problem)
    if (reason := obstacle(problem, at)) is not None:
        return reason
    fresh, at, share = without_past(problem, at)
    scaled = scaled_parameters(fresh, at)
    if (name := left_out(at, scaled)) is not None:
        return f"nothing says how {name} scales with the others"
    varying = {name: part for name, part in scaled.items() if not part.is_constant}
    left = sum(part.width for part in varying.values())
    if left > problem.box.dimension:
        return f"the scaled problem has {left} features, more than {problem.box.dimension}"
    if (reason := out_of_bounds(problem, varying)) is not None:
        return reason
    canonical = canonical_problem(fresh, problem.box, scaled, varying)
    own = parameters(canonical)
    spread = variance(canonical, own)
    if left == problem.box.dimension and spread.is_constant:
        return "nothing that varies scales"
    low, high = (float(part) for part in bounds(spread, canonical.box))
    if low <= LEAST_VARIANCE * high:
        return "the variance to maturity goes down to 0 in the Box; let volatility and maturity start above 0"
    local_inputs, local_amplitude = chart(canonical, own, varying)
    leaves = {**own, **varying}
    inputs, amplitude = chart(canonical, leaves, varying)
    money = unit(at) * share if payoff.degree == 1 else constant(1.0)
    terminal = payoff.decided == "maturity"
    discount = exp(-integral(at["rate"], problem.process.rate_pieces, at["maturity"])) if terminal else constant(1.0)
    distance, limit = asymptote(canonical, leaves)
    return Reduction(
        kind="V = K D w h((F / K) in widths w, ...)" if terminal else "V = A h(ln(S / K) / w, ...)",
        problem=problem,
        canonical=canonical,
        box=input_box(inputs, varying, problem.box),
        amplitude=money * discount * amplitude,
        inputs=inputs,
        arguments=beside(list(varying.values())),
        local_amplitude=local_amplitude,
        local_inputs=local_inputs,
        distance=distance,
        asymptote=None if limit is None else limit / amplitude,
        leaves=leaves,
        unit=money * discount,
    )


def obstacle(problem: PricingProblem, at: Leaves) -> str | None:
    """Why the price is not homogeneous, or not where the Box reaches; None where it is."""
    process, payoff, given = problem.process, problem.payoff.facts, parameters(problem)
    if payoff.degree is None or not {"strike", "knot"} & set(payoff.levels):
        return "the price is not homogeneous in spot and strike"
    if "knot" in given and given["knot"].width > 1 and not given["knot"].is_constant:
        return "several knots vary, and in units of the first of them that one would stand still"
    if process.facts.dividends:
        return "dividends are paid at fixed times"
    if (process.rate_pieces or process.volatility_pieces) and payoff.decided != "maturity":
        return "rates or volatilities change at fixed times, and the payoff depends on more than the maturity's levels"
    if process.volatility_pieces and process.facts.random_variance:
        return "volatilities change at fixed times, and the variance is random"
    for name in given:
        if PARAMETERS[name].scaling not in UNITS:
            continue
        if (least := float(bounds(given[name], problem.box)[0].min())) > 0.0:
            continue
        if given[name].is_constant:
            return f"{name} is {least:g}, and only one above 0 is a unit to scale by"
        return f"{name} goes down to 0 or below in the Box; let it start above 0"
    if process.facts.random_variance and not at["volatility_scale"].is_constant:
        return "the volatility scale of a Heston process varies"
    return None


def away_from_zero(problem: PricingProblem) -> Leaves:
    """The parameters, positive ones held above a share of their least, so that logarithms exist outside the Box."""
    at = dict(parameters(problem))
    for name in at:
        if PARAMETERS[name].scaling in POSITIVE and not at[name].is_constant:
            least = float(problem.box.lower[problem.box.columns(name)].min())
            at[name] = clamp(at[name], max(LEAST * least, TINY))
    return at


def without_past(problem: PricingProblem, at: Leaves) -> tuple[PricingProblem, Leaves, float]:
    """An average of the dates to come alone, the strike that is left of it, and its share of what is running.

    What it is already, where that strike is not well above 0 in all of the Box or there are no past fixings.
    """
    payoff = problem.payoff
    if not isinstance(payoff, Asian) or not payoff.past or payoff.average == "geometric":
        return problem, at, 1.0
    share = len(payoff.dates) / payoff.fixings
    left = (at["strike"] - at["past_average"] * (1.0 - share)) * (1.0 / share)
    low, high = (float(part) for part in bounds(left, problem.box))
    if low <= LEAST_LEFT * high:
        return problem, at, 1.0
    others = tuple(feature for feature in problem.features if feature.name != "past_average")
    fresh = replace(problem, payoff=replace(payoff, past_fixings=UNSET, past_average=UNSET), features=others)
    kept = {name: part for name, part in at.items() if name != "past_average"}
    return fresh, {**kept, "strike": clamp(left, LEAST * low)}, share


def scaled_parameters(problem: PricingProblem, at: Leaves) -> dict[str, Expression]:
    """The parameters of the canonical problem as formulas of the features, spots first."""
    years, one = at["maturity"], unit(at)
    scaled: dict[str, Expression] = {}
    if problem.payoff.facts.decided == "maturity":
        scaled["spot"] = at["spot"] * exp(growth(problem, at)) / one
        scaled["rate"], scaled["dividend_yield"] = constant(0.0), constant(torch.zeros(problem.process.assets))
    else:
        scaled["spot"] = at["spot"] / one
        scaled["rate"], scaled["dividend_yield"] = at["rate"] * years, at["dividend_yield"] * years
    levels = [name for name in problem.payoff.facts.levels if name != "strike"]
    scaled |= {name: constant(1.0) if at[name] is one else at[name] / one for name in levels}
    scaled |= {name: at[name] * years for name in at if PARAMETERS[name].scaling == "pace"}
    if "volatility" in at:
        factor = scale_to_maturity(problem, at)
        merged = not at["volatility"].is_constant
        scaled["volatility_scale"] = constant(1.0) if merged else factor
        scaled["volatility"] = at["volatility"] * factor if merged else at["volatility"]
    return scaled | {name: at[name] for name in at if PARAMETERS[name].scaling == "none"}


def growth(problem: PricingProblem, at: Leaves) -> Expression:
    """The carry of every asset added up to the maturity."""
    rates, years = problem.process.rate_pieces, at["maturity"]
    if not rates:
        return (at["rate"] - at["dividend_yield"]) * years
    return integral(at["rate"], rates, years) - at["dividend_yield"] * years


def scale_to_maturity(problem: PricingProblem, at: Leaves) -> Expression:
    """The volatility scale times the root of the maturity: of its pieces the root of their squares' integral."""
    scale, pieces = at["volatility_scale"], problem.process.volatility_pieces
    if not pieces:
        return scale * square_root(at["maturity"])
    return square_root(integral(scale * scale, pieces, at["maturity"]))


def unit(at: Leaves) -> Expression:
    """The level that all others are divided by: the strike, or the first knot."""
    if "strike" in at:
        return at["strike"]
    knots = at["knot"]
    return constant(knots.numbers[0, 0]) if knots.is_constant else knots


def left_out(at: Leaves, scaled: Leaves) -> str | None:
    """A parameter that no rule above scales; the maturity and the strike are what the others are scaled by."""
    still = {"volatility_scale"} if at["volatility_scale"].is_constant else set()
    return min(set(at) - set(scaled) - {"maturity", "strike"} - still, default=None)


def out_of_bounds(problem: PricingProblem, varying: Leaves) -> str | None:
    """Why a scaled parameter may be no feature: a coordinate that stands still, or a value beyond its bounds."""
    process = problem.process
    for name, part in varying.items():
        low, high = bounds(part, problem.box)
        if bool((low >= high).any()):
            return f"a coordinate of {name} stands still where the others scale with the maturity"
        least, most = range_of(name, positive=process.facts.positive, assets=process.assets)
        if float(low.min()) < least or float(high.max()) > most:
            return f"the scaled {name} goes from {float(low.min()):g} to {float(high.max()):g}, out of its bounds"
    return None


def canonical_problem(problem: PricingProblem, box: Box, scaled: Leaves, varying: Leaves) -> PricingProblem:
    """Strike 1, maturity 1, the scaled parameters: features where they vary, else the specification's numbers."""
    process, payoff = problem.process, problem.payoff

    def own(name: str) -> tuple[float, ...]:
        return tuple(scaled[name].numbers[0].tolist()) if name not in varying else process.parameters[name]

    moved = {name: own(name) for name in scaled if PARAMETERS[name].scaling in ("carry", "pace")}
    if "volatility" in scaled:
        factor = 1.0 if "volatility_scale" in varying else own("volatility_scale")[0]
        moved["volatility"] = tuple(factor * sigma for sigma in process.parameters["volatility"])
    levels = {name: (1.0,) if name in varying or name == "strike" else own(name) for name in payoff.facts.levels}
    return PricingProblem(
        process=replace(with_values(process, moved), rate_pieces=(), volatility_pieces=()),
        payoff=with_levels(payoff, levels),
        maturity=1.0,
        features=tuple(as_feature(name, part, box) for name, part in varying.items()),
    )


def variance(canonical: PricingProblem, at: Leaves) -> Expression:
    """The mean over the assets of the expected variance to the maturity 1."""
    squares = variances(canonical, at)
    return total(squares) * (1.0 / squares.width)


def variances(problem: PricingProblem, at: Leaves) -> Expression:
    """The expected variance of every asset to the maturity."""
    if "mean_reversion" in at:
        assets, years = problem.process.assets, at["maturity"]
        exponents, weights = mean_over_time(-(at["mean_reversion"] * years))
        averages = torch.kron(weights.numbers.reshape(-1, 1), torch.eye(assets, dtype=torch.float64))
        decay = product(exp(exponents), averages)
        return (at["long_variance"] * (-decay + 1.0) + at["initial_variance"] * decay) * years
    sigma = at["volatility"] * scale_to_maturity(problem, at)
    return sigma * sigma


def chart(canonical: PricingProblem, at: Leaves, varying: Leaves) -> tuple[Expression, Expression]:
    """The network's inputs z and the amplitude of the canonical value."""
    width, payoff = square_root(variance(canonical, at)), canonical.payoff.facts
    if payoff.decided == "maturity" and payoff.weights is not None and len(payoff.weights) > 1:
        weights = torch.tensor(payoff.weights, dtype=torch.float64)
        ahead = product(at["spot"], weights[:, None]) - 1.0
        turned = at["spot"] + ahead * (reciprocal(width) - 1.0) * constant(weights / weights.dot(weights))
        inputs = beside([turned if name == "spot" else at[name] for name in varying])
        return inputs, width if payoff.degree == 1 else constant(1.0)
    inputs = beside([log(at[name]) / width if PARAMETERS[name].scaling == "level" else at[name] for name in varying])
    if payoff.degree == 0:
        return inputs, constant(1.0)
    return inputs, width * square_root(at["spot"]) if payoff.vanilla else width


def asymptote(canonical: PricingProblem, at: Leaves) -> tuple[Expression | None, Expression | None]:
    """Of a call or put on one asset without stochastic volatility: how far d_1 and d_2 are, and the intrinsic value."""
    payoff = canonical.payoff
    if not canonical.process.facts.lognormal or not isinstance(payoff, Call | Put) or payoff.assets > 1:
        return None, None
    if payoff.weights[0] <= 0.0:
        return None, None
    width, forward = square_root(variance(canonical, at)), at["spot"] * payoff.weights[0]
    due = forward - 1.0 if payoff.side == "call" else -(forward - 1.0)
    return magnitude(log(forward) / width) - width * 0.5, clamp(due, 0.0)


def input_box(inputs: Expression, varying: Leaves, box: Box) -> Box:
    """The domain of the network's inputs, under the names of the canonical features."""
    lower, upper = bounds(inputs, box)
    features, start = [], 0
    for name, part in varying.items():
        stop = start + part.width
        ends = tuple(lower[start:stop].tolist()), tuple(upper[start:stop].tolist())
        features.append(Feature(name=name, lower=ends[0], upper=ends[1], unit="1"))
        start = stop
    return Box(features=tuple(features))
