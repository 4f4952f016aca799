"""What estimators and samplers fit a problem, and the estimator it gets. Torch-free: a submission is held to it."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, BestOf, Call, Digital, Put, WorstOf, dates
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process, pays_amounts
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, Sampler

# What the variance of a Heston asset moves with on its way; a scale, rates and levels come after it.
VARIANCE_PATH = frozenset(
    {
        *("maturity", "correlation", "loading"),
        *("initial_variance", "mean_reversion", "long_variance", "variance_volatility"),
    }
)


def choose(problem: PricingProblem) -> Estimator:
    """The rule: unbiased and smooth wherever a formula integrates the edge, see docs/choosing-labels.md."""
    match problem.payoff:
        case Barrier(dates=()):
            return Bridge()
        case Barrier() | Autocall():
            return Survival() if not_affine(problem.process) is None else Smoothed()
        case Bermudan():
            return Frozen()
        case _ if not_integrated(problem) is not None:
            return Smoothed()
        case _:
            return Conditional()


def settle(problem: PricingProblem, estimator: Estimator) -> Estimator:
    """The estimator itself, or the one that the rule chooses."""
    return choose(problem) if isinstance(estimator, Automatic) else estimator


def require_fit(problem: PricingProblem, labels: LabelSpec) -> None:
    """Raise InvalidSpec unless labels of the problem can be made as asked, and mean what they are taken for."""
    require_estimator(problem, labels.estimator)
    require_differentiable(problem, labels.estimator, order=labels.order)
    require_sampler(problem, labels.sampler)
    require_no_jump(problem)
    require_no_cash_at_barrier(problem)
    require_knock_in(problem)
    require_reversion(problem, order=labels.order)


def require_estimator(problem: PricingProblem, estimator: Estimator) -> None:
    """Raise InvalidSpec unless the estimator, or the one that the rule chooses, labels the problem rightly."""
    chosen = settle(problem, estimator)
    reason = misfit(problem, chosen)
    if reason is None:
        return
    if isinstance(estimator, Automatic) and continuous(problem):
        raise InvalidSpec(f"problem.payoff.dates: {reason}", path="problem.payoff.dates")
    raise InvalidSpec(f"estimator: {reason}", path="labels.estimator")


def misfit(problem: PricingProblem, estimator: Estimator) -> str | None:
    """Why the estimator does not fit the problem, and what to use; None where it does."""
    match estimator:
        case Pathwise() | Smoothed():
            return not_dated(problem, estimator)
        case Conditional():
            reason = not_integrated(problem)
            return reason and f"'conditional' {reason}; use 'auto' or 'smoothed'"
        case Survival():
            return not_surviving(problem)
        case Bridge():
            return not_bridged(problem)
        case LikelihoodRatio():
            reason = no_density(problem, estimator)
            return reason and f"'likelihood_ratio' {reason}, or use 'auto'"
        case Frozen():
            return not_exercised(problem)
        case Automatic():
            raise AssertionError
        case _:
            assert_never(estimator)


def not_dated(problem: PricingProblem, estimator: Pathwise | Smoothed) -> str | None:
    """Why the assets at the payoff's dates do not decide it, or there is no such control variate."""
    process, payoff = problem.process, problem.payoff
    if isinstance(payoff, Bermudan) or continuous(problem):
        missed = "exercise" if isinstance(payoff, Bermudan) else "what happens between dates"
        return f"the payoff on simulated dates misses {missed}; use 'auto'"
    if isinstance(estimator, Smoothed) or estimator.control == "none":
        return None
    lognormal = isinstance(process, BlackScholes) and not process.dividends
    if lognormal and isinstance(payoff, Call | Put | Asian) and min(payoff.weights) >= 0.0:
        return None
    return (
        "control = 'geometric' needs 'black_scholes' without discrete dividends and a call, put or Asian with "
        "weights >= 0; use control = 'none'"
    )


def not_integrated(problem: PricingProblem) -> str | None:
    """Why no formula integrates one normal of this problem; None where one does."""
    process, payoff = problem.process, problem.payoff
    if isinstance(payoff, Barrier | Autocall | Bermudan):
        return "integrates payoffs of the terminal or average level"
    if isinstance(payoff, Asian) and payoff.average == "geometric" and payoff.assets > 1:
        return "has no formula for the geometric average of a basket"
    if isinstance(payoff, Asian) and payoff.dates[-1] < 1.0 and opens_last_step(process):
        return "integrates a normal of the last step of this process, which comes after the average"
    if isinstance(process, BlackScholes) and any(d.amount and d.time == problem.maturity for d in process.dividends):
        return "has no step left after a dividend in cash at maturity"
    if isinstance(process, Heston) and any(abs(rho) == 1.0 for rho in process.spot_variance_correlations):
        return "has no normal of its own to integrate where a spot_variance_correlation is 1 or -1"
    if isinstance(process, Heston) and not isinstance(payoff, WorstOf | BestOf):
        signs = {weight > 0.0 for weight in payoff.weights if weight}
        if len(signs) > 1:
            return "finds one root only, and weights of both signs may have more where variances are random"
    return None


def opens_last_step(process: Process) -> bool:
    """Whether the normals that may be integrated are those of the last step alone."""
    return isinstance(process, LocalVolatility) or pays_amounts(process)


def continuous(problem: PricingProblem) -> bool:
    """Whether the payoff looks between dates."""
    return isinstance(problem.payoff, Barrier) and not problem.payoff.dates


def not_surviving(problem: PricingProblem) -> str | None:
    """Why one-step survival does not fit the problem; None where it does."""
    if not isinstance(problem.payoff, Autocall | Barrier) or continuous(problem):
        return "'survival' is for barriers with dates and for autocalls; use 'auto'"
    reason = not_affine(problem.process)
    return reason and f"'survival' and 'bridge' need {reason}, or use 'smoothed' on dates"


def not_bridged(problem: PricingProblem) -> str | None:
    """Why bridges between the simulated points do not fit the problem; None where they do."""
    if not continuous(problem):
        return "'bridge' is for a barrier without dates; use 'auto'"
    if isinstance(problem.process, BlackScholes) and problem.process.dividends:
        return (
            "'bridge' takes a barrier as straight between its points, over which a dividend jumps; give the barrier "
            "dates, or the dividends as yields"
        )
    reason = not_affine(problem.process)
    return reason and f"a barrier without dates needs {reason}, or give the barrier dates"


def not_affine(process: Process) -> str | None:
    """What the process would need for S or ln S to be affine in the normals of its dates; None where it is."""
    if isinstance(process, LocalVolatility):
        return "steps that are Gaussian in any length, which local volatility has not; use another process"
    if pays_amounts(process):
        return "lognormal levels, which dividends in cash do not leave; give them as proportions"
    return None


def no_density(problem: PricingProblem, estimator: LikelihoodRatio) -> str | None:
    """Why the likelihood ratio of the path would be wrong; None where it is right."""
    process, payoff = problem.process, problem.payoff
    if not isinstance(process, Bachelier | BlackScholes) or (isinstance(process, BlackScholes) and process.dividends):
        return "needs a density of the path that is known: 'bachelier', or 'black_scholes' without discrete dividends"
    if isinstance(payoff, Bermudan) or continuous(problem):
        return "needs a payoff of the levels at given dates"
    if estimator.scope == "last" and isinstance(payoff, Barrier | Autocall):
        return "of scope 'last' differentiates no jump before the last date; use scope = 'full'"
    return None


def not_exercised(problem: PricingProblem) -> str | None:
    """Why a frozen exercise rule does not fit the problem; None where it does."""
    if not isinstance(problem.payoff, Bermudan):
        return "'frozen' exercises Bermudan payoffs; use 'auto'"
    reason = not_integrated(replace(problem, payoff=problem.payoff.option))
    return reason and f"the last step of 'frozen' {reason}"


def require_differentiable(problem: PricingProblem, estimator: Estimator, *, order: int) -> None:
    """Raise InvalidSpec unless the estimator's labels have derivatives of that order.

    Every estimator has first derivatives but pathwise ones of a payoff that jumps, and all but two have second ones.
    Those of a continuous barrier under Heston exist, but are not good enough to be handed out.
    """
    chosen = settle(problem, estimator)
    hard = isinstance(chosen, Frozen) and chosen.width == 0.0
    if isinstance(chosen, LikelihoodRatio) and chosen.scope == "last" and isinstance(problem.payoff, Asian):
        hard = True  # its kink moves with the dates before the last
    if order >= 2 and (isinstance(chosen, Pathwise) or hard):
        raise InvalidSpec(
            "order = 2 needs a smooth estimator: kinks and hard decisions have no curvature on any path; use 'auto'",
            path="labels.order",
        )
    if order >= 2 and isinstance(chosen, Bridge) and isinstance(problem.process, Heston):
        raise InvalidSpec(
            "order = 2: gammas of a continuous barrier under 'heston' would be wrong by several percent or more; use "
            "order = 1, or give the barrier its dates",
            path="labels.order",
        )
    if order >= 1 and isinstance(chosen, Pathwise) and isinstance(problem.payoff, Digital | Barrier | Autocall):
        raise InvalidSpec(
            f"estimator: 'pathwise' misses the jumps of a {problem.payoff.__class__.__name__.lower()}, so its deltas "
            "are wrong; use 'auto', or order = 0",
            path="labels.estimator",
        )


def require_reversion(problem: PricingProblem, *, order: int) -> None:
    """Raise InvalidSpec where second derivatives run through a variance that stays at 0 once it is there.

    Nothing lifts it from there where kappa theta = 0, and its relative spread xi s / m is infinite.
    """
    moving = [feature.name for feature in problem.features if feature.name in VARIANCE_PATH]
    if order < 2 or not moving or not isinstance(problem.process, Heston):
        return
    varying = {feature.name: feature for feature in problem.features}
    least = {**problem.parameters, **{name: feature.lower for name, feature in varying.items()}}
    most = {**problem.parameters, **{name: feature.upper for name, feature in varying.items()}}
    for name, field in (("mean_reversion", "mean_reversions"), ("long_variance", "long_variances")):
        for i, (value, spread) in enumerate(zip(least[name], most["variance_volatility"], strict=True)):
            if value > 0.0 or spread == 0.0:
                continue
            place = f"problem.process.{field}[{i}]"
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
    process, names = problem.process, [feature.name for feature in problem.features]
    if "maturity" not in names or not isinstance(process, BlackScholes):
        return
    place = names.index("maturity")
    (low,), (high,) = problem.features[place].lower, problem.features[place].upper
    for i, dividend in enumerate(process.dividends):
        if not (dividend.amount or dividend.proportion):
            continue
        for share in dates(problem.payoff):
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
            f"sampler: 'moneyness' needs a random payoff, and {zero} leaves it a standard deviation of 0; give a "
            "positive one, or sample 'uniform'",
            path="labels.sampler",
        )


def vanishing(problem: PricingProblem) -> str | None:
    """The parameter, no feature, whose value 0 leaves nothing random; None where there is none."""
    process, varying = problem.process, {feature.name for feature in problem.features}
    if problem.maturity == 0.0 and "maturity" not in varying:
        return "maturity = 0"
    sources = ("initial_variance", "long_variance") if isinstance(process, Heston) else ("volatility",)
    if not varying & set(sources) and not any(number for name in sources for number in process.parameters[name]):
        return " and ".join(f"{name} = 0" for name in sources)
    return None


def require_no_cash_at_barrier(problem: PricingProblem) -> None:
    """Raise InvalidSpec for a continuous barrier under Heston where the payoff that it ends or starts is not 0.

    The value jumps there at maturity. The bias of the steps, 5 % of an up-and-out call at 16 of them
    (`benchmarks/time_steps.py`), is shared by its reference, the same simulator: no report would show it.
    """
    payoff = problem.payoff
    if not isinstance(payoff, Barrier) or not continuous(problem) or not isinstance(problem.process, Heston):
        return
    ends = {name: (*numbers, *numbers) for name, numbers in payoff.parameters.items()}
    ends |= {feature.name: (*feature.lower, *feature.upper) for feature in problem.features if feature.name in ends}
    sign = 1.0 if payoff.side == "call" else -1.0
    cash = max(sign * (barrier - strike) for barrier in ends["barrier"] for strike in ends["strike"])
    if cash > 0.0:
        raise InvalidSpec(
            f"problem.payoff: a continuous barrier under 'heston' where the {payoff.side} pays {cash:g} is biased by "
            "the time steps, most of all beside it; give the barrier dates, or use 'black_scholes'",
            path="problem.payoff.barrier",
            bound=payoff.strike,
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
