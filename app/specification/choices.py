"""What a build takes that is told nothing of labels, network and training: where it begins, and how it goes on.

It begins small. After each round the network is judged on fresh labels, by `surrogate.evaluation.fresh`, and what
limits it grows: paths where the labels' noise does, samples where the network is better on what it has learnt than on
what it has not, else the network. A network of many inputs that is far from its aim becomes wide at once: many samples,
each with random numbers of its own so that their noise averages out, and Adam in place of second order. Nothing here
depends on the clock, so the same specification makes the same choices. Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.base import Spec
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_fit
from pricing.specs.sampler import MoneynessSampler, Sampler, UniformSampler
from surrogate.report.choices import Round
from surrogate.requirement import AccuracyLevel
from surrogate.spec import MAXIMUM_SECOND_ORDER, Adam, LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

# 1 - R2 on fresh labels at which nothing grows any more, and processor seconds that labels and training of all rounds
# may take by their estimate, by level; with a wide network among them they may take more.
AIMS: Mapping[AccuracyLevel, Mapping[str, float]] = {
    "normal": {"value": 1e-6, "delta": 1e-5, "gamma": 1e-4, "worst_bucket": 1e-3},
    "high": {"value": 1e-7, "delta": 1e-6, "gamma": 1e-5, "worst_bucket": 1e-4},
}
SECONDS: Mapping[AccuracyLevel, float] = {"normal": 240.0, "high": 1200.0}
WIDE_SECONDS: Mapping[AccuracyLevel, float] = {"normal": 720.0, "high": 2400.0}
# Where it begins: samples and width by the number of inputs, up to which.
BEGINNINGS = ((1, 256, 12), (3, 512, 14), (7, 1024, 16), (math.inf, 2048, 16))
# Up to so many inputs curvatures are learnt from the first round on; beyond, they only judge until they limit.
FEW_INPUTS = 3
PATHS, REPLICATES = 256, 4
# Fresh labels beside them.
LEAST_FRESH, MOST_FRESH = 128, 1024
# Inputs from which on the network sees principal axes of the deltas, and so many of them at first.
MANY_INPUTS, AXES = 12, 12
# Share of the samples that move to the kinks; the others stay all over the Box, so that nothing of it is extrapolated.
MOVED = 0.75
# Most of each, and by what they grow.
MOST_SAMPLES, MOST_PATHS = 1 << 15, 1 << 15
PATHS_GROW, WIDTH_GROWS, ITERATIONS_GROW = 4, 1.4, 2
# Residuals a parameter, at least: fewer samples than that grow with the network.
RESIDUALS = 8
MOST_ITERATIONS = 1200
# Of more inputs than that a network that misses its aim by more than this factor becomes wide: it would not be
# published (`surrogate.requirement`).
WIDE_INPUTS, FAR = 7, 100.0
WIDE, WIDE_SAMPLES, WIDE_TRAINING = (64, 64, 64), 1 << 15, Adam(epochs=300, batch=256, learning_rate=5e-3)
MOST_WIDE = 96
# Noise is what limits where it is this share of the error, unless what was learnt is missed by as much and by more than
# noise; samples are where the error on what was learnt is less than this share of that on fresh labels.
NOISY, BLUNT, LEARNT = 0.1, 0.5, 0.4
# What few replicates say of the noise in a bucket is right within this factor.
UNSURE = 3.0
# A round helps if the worst error is this much of the best before it, and after so many that do not nothing grows.
GAIN, PATIENCE = 0.8, 2


class Choice(Spec, frozen=True, kw_only=True):
    """What a round takes."""

    labels: LabelSpec
    network: NetworkSpec
    training: TrainingSpec


class Next(NamedTuple):
    """What the next round takes, and why."""

    choice: Choice
    reason: str


def first_choice(problem: PricingProblem, *, inputs: int | None = None) -> Next:
    """Where a build begins.

    Args:
        inputs: of the network; by default the features of the problem.

    Raises:
        InvalidSpec: the problem has no labels.
    """
    count = inputs or problem.box.dimension
    _, samples, width = next(row for row in BEGINNINGS if count <= row[0])
    sampler, why = sampler_of(problem)
    few = count <= FEW_INPUTS
    directions = min(2, count) if few else 1
    asked = LabelSpec(samples=samples, paths=PATHS, replicates=REPLICATES, directions=directions, sampler=sampler)
    labels, note = bent(problem, asked)
    order: Literal[1, 2] = 2 if few and labels.order == 2 else 1
    network = NetworkSpec(hidden=(width, width))
    if count > MANY_INPUTS:
        network = NetworkSpec(hidden=(width, width), inputs="differential_pca", axes=AXES)
    choice = Choice(labels=with_fresh(labels), network=network, training=training_of(order))
    return Next(choice, f"{count} inputs; samples {why}{note}")


def sampler_of(problem: PricingProblem) -> tuple[Sampler, str]:
    """Where labels are made, and why there."""
    payoff = problem.payoff.facts
    if payoff.ranked or payoff.decided in ("dates", "always"):
        return UniformSampler(), "uniform, for barriers, dates or several assets make the shape"
    return MoneynessSampler(share=MOVED), f"{MOVED:.0%} around the kinks and the others all over the Box"


def bent(problem: PricingProblem, labels: LabelSpec) -> tuple[LabelSpec, str]:
    """Labels with curvatures, or without and why where the problem has none that are right.

    Raises:
        InvalidSpec: there are none of either kind.
    """
    labels = replace(labels, order=2)
    try:
        require_fit(problem, labels)
    except InvalidSpec as error:
        if error.fields.get("path") != "labels.order":
            raise
        labels = replace(labels, order=1)
        require_fit(problem, labels)
        return labels, f"; without curvatures: {str(error).partition(';')[0]}"
    return labels, ""


def training_of(order: Literal[0, 1, 2], *, long: int = 150) -> TrainingSpec:
    """How a network is trained on labels up to an order."""
    optimiser = LevenbergMarquardt(starts=4, short=30, finalists=1, long=long)
    return TrainingSpec(loss=SobolevLoss(order=order), optimisers=(optimiser,))


def worst(errors: Mapping[str, float], aims: Mapping[str, float]) -> tuple[str, float]:
    """The error that is the largest multiple of its aim, and that multiple."""
    name = max(errors, key=lambda name: errors[name] / aims[name])
    return name, errors[name] / aims[name]


def grown(choice: Choice, seen: Round, before: Round | None, *, inputs: int, aims: Mapping[str, float]) -> Next | None:
    """What the next round takes, None where nothing may grow any more.

    Args:
        before: the round before it, if there was one.
    """
    name, multiple = worst(seen.errors, aims)
    error, noise = seen.errors[name], seen.noise[name]
    if is_wide(choice):
        return wider(choice, f"the {name} error of a wide network is {error:.0e} on fresh labels")
    labels = choice.labels
    learnt = seen.learnt[name]
    helpless = before is not None and before.samples < seen.samples and error > GAIN * before.errors[name]
    unsure = helpless or UNSURE * noise > error - learnt
    noisy = noise > NOISY * error and unsure and (learnt < BLUNT * error or noise > BLUNT * learnt)
    if noisy and labels.paths < MOST_PATHS:
        paths = min(MOST_PATHS, PATHS_GROW * labels.paths)
        return changed(choice, f"the labels' noise is {noise / error:.0%} of the {name} error", labels={"paths": paths})
    if learnt < LEARNT * error and labels.samples < MOST_SAMPLES:
        factor = 4 if learnt < LEARNT**2 * error else 2
        samples = min(MOST_SAMPLES, factor * labels.samples)
        reason = f"the {name} error is {learnt:.0e} on what was learnt and {error:.0e} on fresh labels"
        return changed(choice, reason, labels={"samples": samples})
    reason = f"the {name} error is {error:.0e} on fresh labels and on those that were learnt"
    if inputs > WIDE_INPUTS and multiple > FAR:
        return widened(choice, reason)
    if name in ("gamma", "worst_bucket") and choice.training.loss.order < labels.order:
        bent = replace(choice.training, loss=SobolevLoss(order=labels.order))
        return Next(replace(choice, training=bent), f"{reason}, so curvatures are learnt too")
    return larger(choice, reason, inputs)


def is_wide(choice: Choice) -> bool:
    """Whether the network is one of many samples, beyond second order."""
    return choice.training.optimisers == (WIDE_TRAINING,)


def widened(choice: Choice, reason: str) -> Next:
    """A wide network, and samples for it."""
    network, draws = replace(choice.network, hidden=WIDE), replace(choice.labels.draws, sharing="shifted")
    labels = replace(choice.labels, held_out=UNSET, samples=WIDE_SAMPLES, paths=PATHS, order=1, draws=draws)
    training = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(WIDE_TRAINING,))
    return Next(Choice(labels=with_fresh(labels), network=network, training=training), reason)


def wider(choice: Choice, reason: str) -> Next | None:
    """A wide network that is wider still, on the same labels."""
    hidden = tuple(math.ceil(WIDTH_GROWS * width) for width in choice.network.hidden)
    if max(hidden) > MOST_WIDE:
        return None
    return Next(replace(choice, network=replace(choice.network, hidden=hidden)), reason)


def seconds(level: AccuracyLevel, choice: Choice) -> float:
    """What all rounds may take up to one with that choice."""
    return (WIDE_SECONDS if is_wide(choice) else SECONDS)[level]


def most_seconds(level: AccuracyLevel, inputs: int) -> float:
    """What all rounds may take, whatever they find."""
    return (WIDE_SECONDS if inputs > WIDE_INPUTS else SECONDS)[level]


def larger(choice: Choice, reason: str, inputs: int) -> Next | None:
    """A wider network, with samples enough for it; more iterations where it is as wide as its optimiser takes."""
    width = math.ceil(WIDTH_GROWS * choice.network.hidden[0])
    network = replace(choice.network, hidden=(width, width))
    if network.parameters(inputs) > MAXIMUM_SECOND_ORDER:
        (optimiser,) = choice.training.optimisers
        assert isinstance(optimiser, LevenbergMarquardt)
        if optimiser.long >= MOST_ITERATIONS:
            return None
        longer = training_of(choice.training.loss.order, long=ITERATIONS_GROW * optimiser.long)
        return Next(replace(choice, training=longer), reason)
    samples, labels = choice.labels.samples, choice.labels
    residuals = 1 + inputs * (1 + (labels.directions if choice.training.loss.order == 2 else 0))
    while samples * residuals < RESIDUALS * network.parameters(inputs) and samples < MOST_SAMPLES:
        samples *= 2
    labels = with_fresh(replace(labels, held_out=UNSET, samples=samples))
    return Next(replace(choice, network=network, labels=labels), reason)


def changed(choice: Choice, reason: str, *, labels: dict[str, Any]) -> Next:
    """The choice with other labels."""
    return Next(replace(choice, labels=with_fresh(replace(choice.labels, held_out=UNSET, **labels))), reason)


def with_fresh(labels: LabelSpec) -> LabelSpec:
    """The labels with so many fresh ones beside them."""
    return replace(labels, held_out=min(labels.samples, MOST_FRESH, max(LEAST_FRESH, labels.samples // 4)))
