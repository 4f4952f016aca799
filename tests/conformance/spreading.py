"""What the moneyness sampler owes every payoff: samples around its kinks and triggers, in whatever unit prices are.

Every function takes a problem and raises AssertionError with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import assert_never

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.sampling import sample_features
from pricing.simulation.payoffs import kinks, triggers
from pricing.simulation.scenario import scenario
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.parameters import PARAMETERS, bounds
from pricing.specs.payoff import Autocall, Bermudan, Payoff, with_levels
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process
from pricing.specs.sampler import MoneynessSampler
from pricing.spread import forward_event, forward_moneyness
from tests.conformance import estimates
from tests.conformance.payoff_facts import LEVEL, own, pays
from tests.conformance.payoff_facts import event as decisive

# Samples, and how many standard deviations they spread: few, so that the Box has room for a sampler that is wrong.
SAMPLES, BOUND = 128, 1.0
# Share of what it may be that another feature varies by on both sides.
WIDE = 0.3
# Samples in other units are the same but for what bisection leaves, as a share of the largest spot.
SAME = 1e-5
# Scan of paths that stay: from and to this factor of 100, cells, the least bend as a share of the largest cash, and the
# least share of it that half the step must leave of a kink.
SCANNED, CELLS, BENT, CURVED = (0.31, 1.97), 1001, 1e-9, 0.3
# Of the samples whose Box has room on both sides, so many at the least lie on either one.
EITHER_SIDE = 0.2


def varied(process: Process, payoff: Payoff) -> Iterator[PricingProblem]:
    """The problem in the spots alone, and with each other feature that it may have."""
    bare = estimates.problem(process, payoff, varying="spots")
    yield bare
    for feature in estimates.problem(process, payoff).features[1:]:
        yield replace(bare, features=(*bare.features, widened(bare, feature)))


def widened(bare: PricingProblem, feature: Feature) -> Feature:
    """The feature with bounds as far apart as its table lets it."""
    if feature.name == "knot":  # knots may not change places
        return feature
    least, most = bounds(feature.name, positive=bare.process.facts.positive, assets=bare.process.assets)
    lower = tuple(max(low - WIDE * abs(low), least) for low in feature.lower)
    upper = tuple(min(high + WIDE * abs(high), most) for high in feature.upper)
    return replace(feature, lower=lower, upper=upper)


def rescaled(asked: PricingProblem, factor: float) -> PricingProblem:
    """The same problem with all prices in another unit."""
    process, levels = asked.process, {*levels_of(asked.payoff), "spot"}
    match process:
        case Bachelier():
            process, levels = (
                replace(process, volatilities=times(process.volatilities, factor)),
                levels | {"volatility"},
            )
        case LocalVolatility():
            process = replace(process, reference_spots=times(process.reference_spots, factor))
        case BlackScholes():
            paid = tuple(replace(each, amount=factor * each.amount) for each in process.dividends)
            process = replace(process, dividends=paid)
        case Heston() | Merton():
            pass
        case ItoDiffusion():
            raise AssertionError("its coefficients are a user's, in a unit that nobody can change")
        case _:
            assert_never(process)
    features = tuple(
        replace(each, lower=times(each.lower, factor), upper=times(each.upper, factor)) if each.name in levels else each
        for each in asked.features
    )
    return replace(asked, process=process, payoff=scaled(asked.payoff, factor), features=features)


def scaled(payoff: Payoff, factor: float) -> Payoff:
    """The payoff on prices in another unit: its levels, or the initial ones of its performances."""
    match payoff:
        case Bermudan(option=option):
            other = scaled(option, factor)
            assert isinstance(other, Call | Put | WorstOf | BestOf)
            return replace(payoff, option=other)
        case WorstOf() | BestOf() | Autocall():
            return replace(payoff, initial=times(payoff.initial, factor))
        case _:
            return with_levels(payoff, {name: times(payoff.parameters[name], factor) for name in levels_of(payoff)})


def levels_of(payoff: Payoff) -> set[str]:
    """Its parameters in currency, none of those in units of performances."""
    if payoff.facts.ranked or payoff.facts.strike_unit == "1":
        return set()
    return {name for name in payoff.parameters if PARAMETERS[name].scaling == "level"}


def times(numbers: tuple[float, ...], factor: float) -> tuple[float, ...]:
    """Every number by the factor."""
    return tuple(factor * number for number in numbers)


def sampled(asked: PricingProblem) -> Tensor:
    """Features by the moneyness sampler. Shape: -> batch feature."""
    return sample_features(asked, LabelSpec(samples=SAMPLES, sampler=MoneynessSampler(bound=BOUND)), seed=3)


def edges(asked: PricingProblem, x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last kink or trigger. Shape: batch feature -> batch; batch."""
    at = scenario(asked, x)
    both = torch.cat([each(asked.payoff, at).expand(len(x), -1) for each in (kinks, triggers)], dim=1)
    return both.amin(dim=1), both.amax(dim=1)


def corners(asked: PricingProblem, x: Tensor) -> Iterator[Tensor]:
    """Every corner of the spots, the other features as they are. Shape: batch feature -> batch feature each."""
    columns = range(asked.box.dimension)[asked.box.columns("spot")]
    for ends in product((asked.box.lower, asked.box.upper), repeat=len(columns)):
        there = x.clone()
        for column, end in zip(columns, ends, strict=True):
            there[:, column] = float(end[column])
        yield there


def check_places(asked: PricingProblem) -> None:
    """Every sample whose Box reaches it lies within the bound around the kinks, on both sides where there is room."""
    x = sampled(asked)
    assert asked.box.contains(x.numpy()).all(), "a sample lies outside the Box"
    (first, last), event = edges(asked, x), forward_event(asked, x)
    ends = [forward_moneyness(asked, corner) for corner in corners(asked, x)]
    events, deviation = torch.stack([end[0] for end in ends]), torch.stack([end[1] for end in ends]).amax(dim=0)
    least, most = events.amin(dim=0), events.amax(dim=0)
    far = torch.maximum(first - event, event - last) / deviation
    reached = (least < last) & (most > first)
    assert not (reached & (far > BOUND)).any(), (
        f"a sample lies {far[reached].max():.3g} standard deviations from the kinks, asked for {BOUND:g}"
    )
    room = (least < first - BOUND * deviation) & (most > last + BOUND * deviation)
    if room.sum() < SAMPLES / 4:
        return
    above = float((event > 0.5 * (first + last))[room].double().mean())
    assert EITHER_SIDE < above < 1.0 - EITHER_SIDE, f"{above:.0%} of the samples lie above the middle of the kinks"


def check_edges(payoff: Payoff) -> None:
    """On paths that stay where they are cash bends and jumps at its kinks and triggers alone.

    What is curved has a quarter of the second difference at half the step, a kink a third or more.
    """
    factors = torch.linspace(*SCANNED, 2 * CELLS - 1, dtype=torch.float64)
    base = torch.tensor(getattr(payoff, "initial", (LEVEL,) * payoff.assets), dtype=torch.float64)
    base = LEVEL * base / base.max() if max(base) > 1.0 else LEVEL * base
    levels = (factors[:, None, None] * base).expand(-1, len(payoff.facts.dates), -1)
    cash, event, at = pays(payoff, levels), decisive(payoff, levels), own(payoff)
    places = torch.cat([kinks(payoff, at), triggers(payoff, at)], dim=1)[0]
    fine, coarse = ((c[2:] - 2.0 * c[1:-1] + c[:-2]).abs() for c in (cash, cash[::2]))
    near = torch.nn.functional.max_pool1d(fine[None, None], 3, stride=2)[0, 0]
    bent = (coarse > BENT * (1.0 + cash.abs().max())) & (near > CURVED * coarse)
    step = 1.01 * (event[2:] - event[:-2]).abs().max()
    for place in event[::2][1:-1][bent]:
        nearest = float((places - place).abs().min())
        assert nearest <= step, f"cash bends where its event is {place:.6g}, {nearest:.3g} from any kink or trigger"


def check_units(asked: PricingProblem, factor: float) -> None:
    """Samples of the same problem in other units are the same samples."""
    here, there = sampled(asked), sampled(rescaled(asked, factor))
    spots = asked.box.columns("spot")
    missed = float((there[:, spots] / factor - here[:, spots]).abs().max() / here[:, spots].abs().max())
    assert missed <= SAME, f"in prices {factor:g} times as high samples are off by {missed:.2g} of the largest spot"
