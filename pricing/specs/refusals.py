"""What is refused before anything is simulated: labels that a problem has not, or that would not mean what they say.

Torch-free: a submission is held to it.
"""

from __future__ import annotations

from pricing.errors import InvalidSpec
from pricing.specs.choice import require_estimator, settle
from pricing.specs.coefficients import require_coefficients
from pricing.specs.crossings import require_one_rule
from pricing.specs.dividends import LEAST_CHANCE, shortfall
from pricing.specs.estimator import Bridge, Estimator, Frozen, LikelihoodRatio, Pathwise
from pricing.specs.kinks import require_no_kink, straightened
from pricing.specs.labels import LabelSpec
from pricing.specs.parameters import PARAMETERS
from pricing.specs.payoff import Autocall, Barrier
from pricing.specs.problem import PricingProblem, tag
from pricing.specs.running import ends, require_past
from pricing.specs.sampler import UNIFORM, DiffusedSampler, MoneynessSampler, Sampler


def require_fit(problem: PricingProblem, labels: LabelSpec) -> None:
    """Raise InvalidSpec unless labels of the problem can be made as asked, and mean what they are taken for."""
    require_estimator(problem, labels.estimator)
    require_differentiable(problem, labels.estimator, order=labels.order)
    require_sampler(problem, labels.sampler)
    require_no_jump(problem)
    require_one_rule(problem)
    if not straightened(problem):
        require_no_kink(problem)
    require_no_cash_at_barrier(problem)
    require_one_side(problem)
    require_knock_in(problem)
    require_past(problem, labels.sampler)
    require_knots_apart(problem)
    require_reversion(problem, order=labels.order)
    require_coefficients(problem)


def require_differentiable(problem: PricingProblem, estimator: Estimator, *, order: int) -> None:
    """Raise InvalidSpec unless the estimator's labels have derivatives of that order.

    Every estimator has first derivatives but pathwise ones of a payoff that jumps, and all but two have second ones.
    Those of a continuous barrier under Heston exist, but are not good enough to be handed out.
    """
    chosen = settle(problem, estimator)
    hard = isinstance(chosen, Frozen) and chosen.width == 0.0
    if isinstance(chosen, LikelihoodRatio) and chosen.scope == "last" and problem.payoff.facts.decided == "average":
        hard = True  # its kink moves with the dates before the last
    if order >= 2 and (isinstance(chosen, Pathwise) or hard):
        raise InvalidSpec(
            "order = 2 needs a smooth estimator: kinks and hard decisions have no curvature on any path; use 'auto'",
            path="labels.order",
        )
    if order >= 2 and isinstance(chosen, Bridge) and problem.process.facts.bridge == "own steps":
        raise InvalidSpec(
            f"order = 2: gammas of a continuous barrier under '{tag(problem.process)}' would be wrong by several "
            "percent or more; use order = 1, or give the barrier its dates",
            path="labels.order",
        )
    if order >= 2 and problem.process.facts.kinked:
        raise InvalidSpec(
            f"order = 2: abs, max and min of S leave the levels of '{tag(problem.process)}' kinked, and on no path is "
            "the curvature of a kink; use order = 1, or a smooth function such as sqrt(S^2 + 0.01)",
            path="labels.order",
        )
    if order >= 2 and (missed := shortfall(problem)).chance > LEAST_CHANCE:
        raise InvalidSpec(
            f"order = 2: a spot of {missed.spot:g} in the Box is worth less than its dividends in cash, "
            f"{missed.cash:g} up to {missed.time:g} years, with a chance of about {missed.chance:.2g}, and stays at 0 "
            "then; on no path is the curvature of such a kink; use order = 1, raise the lower bound of spot, or give "
            "the dividends as proportions",
            path="labels.order",
            bound=LEAST_CHANCE,
        )
    if order >= 1 and isinstance(chosen, Pathwise) and problem.payoff.facts.jumps:
        raise InvalidSpec(
            f"estimator: 'pathwise' misses the jumps of a {tag(problem.payoff)}, so its deltas "
            "are wrong; use 'auto', or order = 0",
            path="labels.estimator",
        )


def require_reversion(problem: PricingProblem, *, order: int) -> None:
    """Raise InvalidSpec where second derivatives run through a variance that stays at 0 once it is there.

    Nothing lifts it from there where kappa theta = 0, and its relative spread xi s / m is infinite.
    """
    moving = [feature.name for feature in problem.features if PARAMETERS[feature.name].noise == "variance"]
    if order < 2 or not moving or "variance_volatility" not in problem.parameters:
        return
    varying = {feature.name: feature for feature in problem.features}
    least = {**problem.parameters, **{name: feature.lower for name, feature in varying.items()}}
    most = {**problem.parameters, **{name: feature.upper for name, feature in varying.items()}}
    for name in ("mean_reversion", "long_variance"):
        for i, (value, spread) in enumerate(zip(least[name], most["variance_volatility"], strict=True)):
            if value > 0.0 or spread == 0.0:
                continue
            place = f"problem.process.{PARAMETERS[name].field}[{i}]"
            if name in varying:
                place = f"problem.features[{[*varying].index(name)}].lower[{i}]"
            raise InvalidSpec(
                f"{place}: {name} must be > 0 for order = 2 with the feature {moving[0]}, got {value!r}: a variance "
                "that reaches 0 stays there, and has no second derivatives; let it start above 0, or use order = 1",
                path=place,
                bound=0.0,
            )


def require_no_jump(problem: PricingProblem) -> None:
    """Raise InvalidSpec where the value jumps as the maturity moves one of the payoff's dates past a dividend."""
    names = [feature.name for feature in problem.features]
    if "maturity" not in names:
        return
    place = names.index("maturity")
    (low,), (high,) = problem.features[place].lower, problem.features[place].upper
    for i, dividend in enumerate(problem.process.facts.dividends):
        if not (dividend.amount or dividend.proportion):
            continue
        for share in problem.payoff.facts.dates:
            if low * share < dividend.time <= high * share:
                jump = dividend.time / share
                raise InvalidSpec(
                    f"problem.features[{place}]: maturity goes from {low:g} to {high:g} years, and the value jumps at "
                    f"{jump:g}, where the payoff's date at {share:g} of the maturity meets "
                    f"process.dividends[{i}] at {dividend.time:g} years, which no theta shows; build one model up to "
                    f"before {jump:g} and one from there on, or give dividend_yields instead",
                    path=f"problem.features[{place}].upper",
                    bound=jump,
                )


def require_sampler(problem: PricingProblem, sampler: Sampler) -> None:
    """Raise InvalidSpec where the sampler has spots of another number of assets, or no randomness to sample by."""
    assets = problem.process.assets
    if isinstance(sampler, DiffusedSampler) and len(sampler.initial) != assets:
        raise InvalidSpec(
            f"sampler: initial must have {assets} spots, got {len(sampler.initial)}; give one per asset",
            path="labels.sampler.initial",
            bound=assets,
        )
    zero = vanishing(problem)
    if isinstance(sampler, MoneynessSampler) and zero is not None:
        raise InvalidSpec(
            f"samples around the kinks need a random payoff, and {zero} leaves it a standard deviation of 0; give a "
            f"positive one, or {UNIFORM}",
            path="labels.sampler",
        )


def vanishing(problem: PricingProblem) -> str | None:
    """The parameter, no feature, whose value 0 leaves nothing random; None where there is none."""
    process, varying = problem.process, {feature.name for feature in problem.features}
    if problem.maturity == 0.0 and "maturity" not in varying:
        return "maturity = 0"
    random = process.facts.randomness
    if not varying & set(random) and not any(number for name in random for number in process.parameters[name]):
        return " and ".join(f"{name} = 0" for name in random)
    return None


def require_no_cash_at_barrier(problem: PricingProblem) -> None:
    """Raise InvalidSpec for a continuous barrier under Heston where the payoff that it ends or starts is not 0.

    The value jumps there at maturity. The bias of the steps, 5 % of an up-and-out call at 16 of them
    (`benchmarks/time_steps.py`), is shared by its reference, the same simulator: no report would show it.
    """
    payoff = problem.payoff
    if not isinstance(payoff, Barrier) or payoff.dates or problem.process.facts.bridge != "own steps":
        return
    ends = {name: (*numbers, *numbers) for name, numbers in payoff.parameters.items()}
    ends |= {feature.name: (*feature.lower, *feature.upper) for feature in problem.features if feature.name in ends}
    sign = 1.0 if payoff.side == "call" else -1.0
    cash = max(sign * (barrier - strike) for barrier in ends["barrier"] for strike in ends["strike"])
    if cash > 0.0:
        raise InvalidSpec(
            f"problem.payoff: a continuous barrier under '{tag(problem.process)}' where the {payoff.side} pays "
            f"{cash:g} is biased by the time steps, most of all beside it; give the barrier dates, or use "
            "'black_scholes'",
            path="problem.payoff.barrier",
            bound=payoff.strike,
        )


def require_one_side(problem: PricingProblem) -> None:
    """Raise InvalidSpec for a continuous barrier inside the Box that starts an option: beyond it that is another one.

    What a barrier ends is worth 0 beyond it, which the formulas of a surrogate know (`surrogate.reductions.alive`).
    """
    payoff = problem.payoff
    if not isinstance(payoff, Barrier) or payoff.dates or payoff.knock == "out":
        return
    names = [feature.name for feature in problem.features]
    spots = problem.features[names.index("spot")]
    levels = ends(problem, "barrier")
    if not (spots.lower[0] < levels[1] and levels[0] < spots.upper[0]):
        return
    beyond = "below" if payoff.direction == "down" else "above"
    raise InvalidSpec(
        f"problem.features[{names.index('spot')}]: spots go from {spots.lower[0]:g} to {spots.upper[0]:g} across the "
        f"barrier at {levels[0]:g}{'' if levels[0] == levels[1] else f' to {levels[1]:g}'}, where the delta jumps: "
        f"{beyond} it the option has been knocked in and is the {payoff.side} itself; build one model up to it "
        f"and one of kind '{payoff.side}', or give the barrier dates",
        path=f"problem.features[{names.index('spot')}].{'lower' if payoff.direction == 'down' else 'upper'}",
        bound=levels[1] if payoff.direction == "down" else levels[0],
    )


def require_knots_apart(problem: PricingProblem) -> None:
    """Raise InvalidSpec where knots change places in the Box: slopes and jumps are of the intervals between them."""
    for i, feature in enumerate(problem.features):
        if feature.name != "knot":
            continue
        for k, (below, above) in enumerate(zip(feature.upper[:-1], feature.lower[1:], strict=True), start=1):
            if not below < above:
                raise InvalidSpec(
                    f"problem.features[{i}]: knot {k} goes down to {above!r} and knot {k - 1} up to {below!r}, where "
                    "they change places and no interval is left between them; let their bounds not overlap",
                    path=f"problem.features[{i}].lower[{k}]",
                    bound=below,
                )


def require_knock_in(problem: PricingProblem) -> None:
    """Raise InvalidSpec for an autocall whose knock-in put may be knocked in where it is worth nothing."""
    payoff = problem.payoff
    if not isinstance(payoff, Autocall):
        return
    for i, feature in enumerate(problem.features):
        if feature.name == "knock_in" and feature.upper[0] > payoff.strike:
            raise InvalidSpec(
                f"problem.features[{i}]: knock_in must be at most the strike {payoff.strike:g}, got up to "
                f"{feature.upper[0]!r}; above it the put that it knocks in is worth nothing",
                path=f"problem.features[{i}].upper",
                bound=payoff.strike,
            )
