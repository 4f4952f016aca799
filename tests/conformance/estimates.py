"""What labels owe a product: a refusal or derivatives of what they average, and the value that something else says.

Every function takes a problem, and an estimator, and raises AssertionError with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import Literal

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.draws import path_sets, stream
from pricing.errors import InvalidSpec
from pricing.estimators.contribute import bias
from pricing.labels import derivatives, make_labels
from pricing.monte_carlo import Simulation, expectation, prepare
from pricing.references.reference import kind, reference
from pricing.specs.choice import settle
from pricing.specs.draws import Draws
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
)
from pricing.specs.labels import LabelSpec
from pricing.specs.parameters import bounds
from pricing.specs.payoff import Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.refusals import require_fit
from pricing.specs.sampler import UniformSampler
from pricing.types import Array

Order = Literal[0, 1, 2]
# Which parameters are features: all, all but the volatility scale, the process's, the payoff's, the spots alone.
Varying = Literal["everything", "unscaled", "process", "payoff", "spots"]
ORDERS: tuple[Order, ...] = (2, 1, 0)

MATURITY, LEVEL = 1.0, 100.0
# The Box: spots this far on both sides of 100, other parameters by this share of their value and at the least. No date
# may pass a dividend. A parameter on a bound stays there: it may mean another law than beside it.
REACH, SHARE, LEAST = 40.0, 0.02, 0.005
# Of the way to a barrier that no Box may cross.
NEAR = 0.8
# The loading of every asset where the features hold loadings in place of one correlation, as they do of three assets.
LOADING, LOADED = 0.6, 3
# Where labels are made: beside the middle of the Box, off the kinks of the instances.
PLACE, BESIDE = 0.47, 0.05
# Paths and step of the differences, and how far they may be off as shares: an integrated direction is held constant in
# derivatives and follows the point in differences, and so does the width of a kernel, which curvature feels most.
# What a few paths miss must not be missed by many: what is held averages out, an error stays.
MANY = 1 << 12
PATHS, STEP, GRADIENT, CURVATURE, HELD = 64, 1e-4, 0.01, 0.03, 0.3
# A segment through the place in moves of `scales`, its points, and how far integrals of first and second derivatives
# may be off as shares.
REACHED, POINTS, MISSED, BENT = 1.0, 17, 0.03, 0.2
# Labels are compared within so many of the errors of 16 path sets, which are as rare as 5 of known ones, plus a share
# of the size for rounding and for every bias that nothing states: time steps, bridges, the exercise rule.
DRAWN, SETS, ERRORS, FLOOR, UNSTATED = 256, 16, 8.0, 1e-3, 0.04
# An exercise rule that is fitted in no time.
QUICK = Frozen(degree=2, paths=1 << 10)
# Solved once for every other set of parameters: compared in the spots alone.
SOLVED = ("pde", "plane quadrature")


@cache
def problem(process: Process, payoff: Payoff, *, varying: Varying = "everything") -> PricingProblem:
    """The problem in which everything varies that may, or less."""
    far = reach(payoff)
    spot = Feature(name="spot", lower=(LEVEL - far,) * process.assets, upper=(LEVEL + far,) * process.assets)
    bare = PricingProblem(process=process, payoff=payoff, maturity=MATURITY, features=(spot,))
    left_out = {"spot", *process.facts.constant, "loading" if process.assets < LOADED else "correlation"}
    match varying:
        case "spots":
            left_out |= set(bare.sizes)
        case "process":
            left_out |= set(payoff.parameters)
        case "payoff":
            left_out |= set(bare.sizes) - set(payoff.parameters)
        case "unscaled":
            left_out.add("volatility_scale")
        case "everything":
            pass
    others = (around(bare, name) for name in bare.sizes if name not in left_out)
    return replace(bare, features=(spot, *(feature for feature in others if feature is not None)))


def reach(payoff: Payoff) -> float:
    """How far the Box goes from 100: up to a barrier without dates that starts an option, which none may cross."""
    if isinstance(payoff, Barrier) and not payoff.dates and payoff.knock == "in":
        return min(REACH, NEAR * abs(payoff.barrier - LEVEL))
    return REACH


def around(bare: PricingProblem, name: str) -> Feature | None:
    """A feature around the parameter's own value, None where that is on a bound other than 0 or may not vary."""
    own = {"correlation": (bare.process.correlation[0][-1],), "loading": (LOADING,) * bare.process.assets}
    values = bare.parameters.get(name) or own[name]
    least, most = bounds(name, positive=bare.process.facts.positive, assets=bare.process.assets)
    if any(not least <= value <= most or (value and value in (least, most)) for value in values):
        return None
    widths = [max(SHARE * abs(value), LEAST) for value in values]
    lower = tuple(max(least, value - width) for value, width in zip(values, widths, strict=True))
    upper = tuple(min(most, value + width) for value, width in zip(values, widths, strict=True))
    return Feature(name=name, lower=lower, upper=upper)


def place(asked: PricingProblem) -> Tensor:
    """One row of features. Shape: -> 1 feature."""
    spread = np.random.default_rng(7).uniform(PLACE - BESIDE, PLACE + BESIDE, (1, asked.box.dimension))
    return torch.from_numpy(asked.box.from_uniforms(spread))


def scales(asked: PricingProblem) -> Tensor:
    """A move by every feature that counts for about as much. Shape: -> feature."""
    widths = torch.from_numpy(asked.box.upper - asked.box.lower)
    widths[asked.box.columns("spot")] *= 0.05
    return widths


def labels_of(estimator: Estimator, order: Order, *, paths: int = PATHS, rotated: bool = True) -> LabelSpec:
    """A small data set's specification, one replicate of independent path sets."""
    if order == 2 and isinstance(estimator, Pathwise):
        order = 1
    rotation: Literal["gradient_pca", "none"] = "gradient_pca" if rotated else "none"
    draws = Draws(pilot=16, rotation=rotation, sharing="independent")
    return LabelSpec(paths=paths, replicates=1, draws=draws, estimator=estimator, sampler=UniformSampler(), order=order)


def quick(asked: PricingProblem, estimator: Estimator) -> Estimator:
    """The estimator that the problem gets, with an exercise rule that is fitted in no time."""
    chosen = settle(asked, estimator)
    return QUICK if isinstance(chosen, Frozen) else chosen


def refusal(attempt: Callable[[], object]) -> InvalidSpec | None:
    """What it is refused for; None where it is not."""
    try:
        attempt()
    except InvalidSpec as error:
        return error
    return None


def submitted(asked: PricingProblem, estimator: Estimator, order: Order) -> InvalidSpec | None:
    """Why a build is refused at submission."""
    return refusal(lambda: require_fit(asked, labels_of(estimator, order)))


def highest(asked: PricingProblem, estimator: Estimator) -> Order | None:
    """The most derivatives that labels of this estimator have; None where it is refused."""
    orders = [order for order in ORDERS if submitted(asked, estimator, order) is None]
    return min(orders[0], labels_of(estimator, orders[0]).order) if orders else None


def check_sentence(error: InvalidSpec, **roots: object) -> None:
    """A refusal is a sentence about a field that is there."""
    path, message = error.fields.get("path"), str(error)
    assert path, f"a refusal without a path: {message}"
    assert len(message.split()) > 5, f"a refusal without a sentence: {message}"
    steps = re.findall(r"\w+", path)
    assert steps[-1] in message or steps[-2] in message, f"{path} is refused without being named: {message}"
    there: object = SimpleNamespace(**roots)
    for step in steps:
        assert hasattr(there, step) or step.isdigit(), f"{path} of a refusal is no field: {message}"
        there = there[int(step)] if step.isdigit() and isinstance(there, tuple) else getattr(there, step)


def check_match(process: Process, payoff: Payoff) -> None:
    """The two make a problem or are refused by a sentence."""
    error = refusal(lambda: problem(process, payoff))
    if error is not None:
        check_sentence(error, process=process, payoff=payoff, maturity=MATURITY)


def check_refusals(asked: PricingProblem, estimator: Estimator) -> None:
    """What labelling refuses is refused at submission, by the same sentence; every refusal is one about a field."""
    slow = asked.payoff.facts.decided == "holder"
    first = labels_of(quick(asked, estimator) if slow else estimator, 1, rotated=False)
    later = refusal(lambda: prepare(asked, place(asked), first, seed=0))
    before = {order: submitted(asked, estimator, order) for order in ORDERS}
    for error in (later, *before.values()):
        if error is not None:
            check_sentence(error, problem=asked, labels=first)
    # Exact scaling may take the payoff's parameters out of the features before anything is labelled.
    if later is None or (isinstance(estimator, LikelihoodRatio) and "keep it constant" in str(later)):
        return
    assert before[1] is not None, f"refused only when labelling starts: {later}"
    assert str(later) in map(str, before.values()), f"refused as {before[1]} at submission and as {later} later"


def check_choice(asked: PricingProblem, estimators: tuple[Estimator, ...]) -> None:
    """The rule gives an estimator that fits, or the problem is refused whatever the estimator."""
    error = submitted(asked, Automatic(), 1)
    if error is not None:
        taken = [estimator for estimator in estimators if highest(asked, estimator) is not None]
        assert not taken, f"'auto' is refused ({error}) where {taken} are taken"


def check_derivatives(asked: PricingProblem, estimator: Estimator, order: Order) -> None:
    """Labels are finite, and the derivatives of each other on the same normals, by differences and along a segment.

    What backward passes keep is no more than half of what the process plans for.
    """
    try:
        check_paths(asked, estimator, order, paths=PATHS)
    except AssertionError:
        check_paths(asked, estimator, order, paths=MANY)


def check_paths(asked: PricingProblem, estimator: Estimator, order: Order, *, paths: int) -> None:
    """The same of so many paths."""
    x, moves = place(asked), scales(asked)
    direction = moves * torch.from_numpy(np.random.default_rng(3).standard_normal(len(moves)))
    for name in (feature.name for feature in asked.features if feature.name in asked.process.facts.by_law):
        direction[asked.box.columns(name)] = 0.0  # at given normals differences see nothing of a law
    shares = torch.cat([torch.linspace(-REACHED, REACHED, POINTS), torch.tensor([-STEP, STEP])]).double()
    rows = x + shares[:, None] * direction
    simulation = prepare(asked, rows, labels_of(estimator, order, paths=paths), seed=1)
    drawn = path_sets(Draws(), paths, simulation.contribution.dimension, generator=stream("paths", seed=1))
    mean = partial(expectation, simulation, normals=torch.from_numpy(drawn(len(rows))))
    along = direction.expand(len(rows), 1, -1) if order == 2 else None
    size = paths * len(rows)
    labels = with_memory(simulation, lambda: derivatives(mean, rows, order=order, directions=along), size=size)
    assert all(bool(torch.isfinite(label).all()) for label in labels), "labels are not finite"
    if order == 0 or isinstance(estimator, LikelihoodRatio):  # which differentiates the density instead of the path
        return
    value, gradient = labels[0][:, None], labels[1] * moves
    slope, steep = (labels[1] @ direction)[:, None], (labels[1] * direction).norm(dim=1)
    check_differences(value, slope, share=GRADIENT, size=steep)
    if order == 2:
        held = isinstance(estimator, Smoothed) or estimator == Conditional(normal="last")
        bend = labels[2][:, 0] * moves
        check_differences(gradient, bend, share=HELD if held else CURVATURE, size=bend.norm(dim=1))
    # Kernels and exercise boundaries are held, and follow the point along the segment; the last normal smooths little.
    if not isinstance(estimator, Smoothed | Frozen) and estimator != Conditional(normal="last"):
        check_segment(value, slope, share=MISSED, size=steep)
        if order == 2:
            check_segment(gradient, bend, share=BENT, size=bend.norm(dim=1))


def check_differences(values: Tensor, slopes: Tensor, *, share: float, size: Tensor) -> None:
    """The last two rows differ by the slope in the middle of the others, up to a share of its size."""
    measured, middle = (values[-1] - values[-2]) / (2.0 * STEP), POINTS // 2
    assert (slopes[middle] - measured).norm() <= share * size[middle], (
        f"a derivative along a direction is {slopes[middle].tolist()}, differences {measured.tolist()}"
    )


def check_segment(values: Tensor, slopes: Tensor, *, share: float, size: Tensor) -> None:
    """The ends of the segment differ by the integral of the slope, which misses no jump of what is differentiated."""
    step = 2.0 * REACHED / (POINTS - 1)
    climbed, integral = values[POINTS - 1] - values[0], torch.trapezoid(slopes[:POINTS], dx=step, dim=0)
    assert (integral - climbed).norm() <= share * torch.trapezoid(size[:POINTS], dx=step), (
        f"along a segment a derivative integrates to {integral.tolist()}, and the ends differ by {climbed.tolist()}"
    )


def with_memory(simulation: Simulation, run: Callable[[], tuple[Tensor, ...]], *, size: int) -> tuple[Tensor, ...]:
    """What it gives, if its graph keeps at most half the numbers that are planned for: twice as many are the peak."""
    kept = dict[int, tuple[Tensor, int]]()

    def keep(tensor: Tensor) -> Tensor:
        storage, alone = tensor.untyped_storage(), tensor.detach()  # without its graph, which would hold itself
        kept[storage.data_ptr()] = alone, storage.nbytes() // 8
        return alone

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        labels = run()
    numbers = sum(count for _, count in kept.values()) / size
    planned = simulation.problem.process.facts.tensors * simulation.contribution.numbers
    assert 2.0 * numbers <= planned, f"tensors: a path keeps {numbers:.0f} numbers, of {planned} planned at the peak"
    return labels


@dataclass(frozen=True, kw_only=True)
class Known:
    """Value and gradient at one place with their errors. Shape: gradient feature."""

    value: float
    gradient: Array
    value_error: float = 0.0
    gradient_error: Array | float = 0.0


@cache
def independent(asked: PricingProblem) -> Known:
    """The reference; what it would simulate again is simulated here, with fewer paths, by another estimator."""
    if "resimulated" in kind(asked):
        return labelled(asked, other(asked), 1, seed=99, rotated=False)
    return referenced(asked)


def referenced(asked: PricingProblem) -> Known:
    """The reference."""
    exact = reference(asked, place(asked).numpy(), order=1)
    return Known(
        value=float(exact.value[0]),
        gradient=exact.gradient[0],
        value_error=0.0 if exact.standard_error is None else float(exact.standard_error[0]),
        gradient_error=0.0 if exact.gradient_error is None else exact.gradient_error[0],
    )


def other(asked: PricingProblem) -> Estimator:
    """What labels are compared with that have no independent reference."""
    facts = asked.payoff.facts
    if facts.decided == "always":
        return Bridge(steps=8)
    if facts.decided == "holder":
        return replace(QUICK, degree=3)
    return Smoothed(gamma_bias=1e-3) if facts.jumps else Pathwise()


def labelled(asked: PricingProblem, estimator: Estimator, order: Order, *, seed: int, rotated: bool = True) -> Known:
    """Labels with their errors, from rows that have path sets of their own."""
    rows, wanted = place(asked).expand(SETS, -1), labels_of(estimator, order, paths=DRAWN, rotated=rotated)
    made = make_labels(asked, rows, wanted, seed=seed)
    value, gradient = made.value.numpy(), np.zeros((SETS, 0)) if made.gradient is None else made.gradient.numpy()
    return Known(
        value=value.mean(),
        gradient=gradient.mean(axis=0),
        value_error=value.std(ddof=1) / SETS**0.5,
        gradient_error=gradient.std(axis=0, ddof=1) / SETS**0.5,
    )


def check_agreement(asked: PricingProblem, estimator: Estimator, known: Known | None = None) -> None:
    """Value and gradient are what something independent says, within both errors and the biases of the estimator."""
    order: Order = 1 if (highest(asked, estimator) or 0) > 0 else 0
    got, right = labelled(asked, estimator, order, seed=1), known or independent(asked)
    stated = bias(asked, estimator)
    share = FLOOR + abs(float(stated["relative_gamma"])) + UNSTATED * len(stated["unstated"])  # type: ignore[arg-type]
    allowed = ERRORS * np.hypot(got.value_error, right.value_error) + share * abs(right.value)
    assert abs(got.value - right.value) <= allowed, f"the label is {got.value:.6g} and should be {right.value:.6g}"
    if order == 0:
        return
    moves = scales(asked).numpy()
    missed = np.abs(got.gradient - right.gradient) * moves
    errors = np.hypot(got.gradient_error, right.gradient_error) * moves
    excess = missed - ERRORS * errors - share * np.linalg.norm(right.gradient * moves)
    worst = int(np.argmax(excess))
    assert excess[worst] <= 0.0, (
        f"the derivative by {asked.box.labels[worst]} is {got.gradient[worst]:.6g} and should be "
        f"{right.gradient[worst]:.6g}"
    )
