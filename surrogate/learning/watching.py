"""The terms of the loss, seen while a network is trained.

Optimisers show where they stand (`Onlooker`), which draws no random number and changes nothing of what they do. Now and
then the terms are measured there without gradients: on a fixed part of the samples, so that a curve is of the same
samples from end to end, and on samples held out. All labels that there are count, whatever the order of the loss: of a
training on values alone it is seen what becomes of the deltas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, assert_never

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, outputs
from surrogate.learning.losses import LossWeights, Objective, loss_shares, loss_weights, residuals
from surrogate.report.curves import LossPoint, Training, curves_of
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, Optimiser, SobolevLoss
from surrogate.standardisation import Standardisation

# Samples that the terms are measured on, and points of one optimiser over all of its starts: the curves cost a few
# percent of a training and are good to a few percent.
ROWS, POINTS = 1024, 128
# The terms by the order of their labels.
TERMS = ("value", "delta", "curvature")
# Digits of a published loss.
DIGITS = 6


# Told every point as soon as it is measured.
Heard = Callable[[LossPoint], None]


class Onlooker(Protocol):
    """Who is shown where an optimiser stands."""

    def __call__(self, theta: Tensor, *, start: int, iteration: int, ended: bool) -> None:
        """Look at the coordinates after so many iterations of a start, which has ``ended`` or goes on.

        Shape: theta free.
        """


def look_away(theta: Tensor, *, start: int, iteration: int, ended: bool) -> None:
    """See nothing. Shape: theta free."""


def unheard(point: LossPoint) -> None:
    """Tell nobody."""


@dataclass(kw_only=True)
class _Begun:
    """A training that goes on."""

    shares: dict[str, float]
    measured: int
    held_out: int
    points: list[LossPoint] = field(default_factory=list)


@dataclass(kw_only=True)
class Log:
    """Keeps what is seen of trainings, one after the other.

    Args:
        heard: is told every point as soon as it is measured.
    """

    heard: Heard = unheard
    begun: list[_Begun] = field(default_factory=list)

    def begin(self, shares: dict[str, float], *, measured: int, held_out: int) -> None:
        """Another training begins (the arguments as of `surrogate.report.curves.Training`)."""
        self.begun.append(_Begun(shares=shares, measured=measured, held_out=held_out))

    def tell(self, point: LossPoint) -> None:
        """The training that began last stands here."""
        self.begun[-1].points.append(point)
        self.heard(point)

    def trainings(self, step: Literal["train", "prune"]) -> tuple[Training, ...]:
        """All that was seen, in order."""
        return tuple(
            Training(
                step=step,
                shares=one.shares,
                measured=one.measured,
                held_out=one.held_out,
                curves=curves_of(one.points),
            )
            for one in self.begun
        )


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who follows a training by the terms of its loss.

    Args:
        held_out: samples in the units of those that are learnt from.
    """

    log: Log
    held_out: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """Measures the terms of a loss for an objective.

    Args:
        units: multipliers of residuals of every kind of label that there is.
        shares: of the terms in the loss.
        learnt: the samples learnt from that are measured on, normalised.
        held_out: normalised.
    """

    objective: Objective
    units: LossWeights
    shares: dict[str, float]
    learnt: Dataset
    held_out: Dataset | None

    def point(self, theta: Tensor, *, optimiser: Optimiser, place: int, start: int, iteration: int) -> LossPoint:
        """The terms at these coordinates. Shape: theta free."""
        network = self.objective.at(theta.detach().to(self.learnt.x.dtype))
        terms = term_losses(network, self.learnt, self.units)
        held_out = None if self.held_out is None else term_losses(network, self.held_out, self.units)
        return LossPoint(
            optimiser=kind_of(optimiser),
            place=place,
            start=start,
            iteration=iteration,
            loss=published(sum(share * terms[name] for name, share in self.shares.items())),
            terms={name: published(term) for name, term in terms.items()},
            held_out=None if held_out is None else {name: published(term) for name, term in held_out.items()},
        )


def gauge(
    objective: Objective,
    loss: SobolevLoss,
    standardisation: Standardisation,
    *,
    held_out: Dataset | None,
    delta_units: Tensor | None = None,
) -> Gauge:
    """What measures the terms of an objective that ``loss`` has weighed.

    Args:
        held_out: raw units.
        delta_units: as of `surrogate.learning.losses.loss_weights`.

    Shape: delta_units feature.
    """
    data = objective.dataset
    other = None if held_out is None else normalise(held_out, standardisation)
    shares = dict(zip(TERMS, loss_shares(loss, data.x.shape[1]), strict=True))
    return Gauge(
        objective=objective,
        units=term_units(data, delta_units),
        shares={name: share for name, share in shares.items() if share > 0.0},
        learnt=data.rows(spread_out(len(data))),
        held_out=None if other is None else other.rows(spread_out(len(other))),
    )


def order_of(data: Dataset) -> Literal[0, 1, 2]:
    """How many derivatives its labels have, products with cotangents among them."""
    if data.y.ndim > 1 and data.pullbacks is not None:
        return 1
    if data.has_classes or data.y.ndim > 1 or data.gradient is None:
        return 0
    return 1 if data.curvature is None else 2


def term_units(data: Dataset, delta_units: Tensor | None) -> LossWeights:
    """Multipliers of residuals with which the squares of each kind of label add up to its term.

    Shape: data x (batch, feature), normalised; delta_units feature.
    """
    loss = SobolevLoss(order=order_of(data), delta_weight=1.0, curvature_weight=1.0)
    weights = loss_weights(data, loss, delta_units=delta_units)
    a, b, c = (math.sqrt(share) if share > 0.0 else 1.0 for share in loss_shares(loss, data.x.shape[1]))
    return LossWeights(
        order=weights.order, value=weights.value / a, gradient=weights.gradient / b, curvature=weights.curvature / c
    )


def spread_out(samples: int) -> Tensor:
    """Indices of at most `ROWS` samples at equal distances. Shape: -> selected."""
    return torch.arange(0, samples, math.ceil(samples / ROWS))


def term_losses(network: Network, batch: Dataset, units: LossWeights) -> dict[str, float]:
    """Mean squared error of every kind of label in the units of the loss; the cross-entropy of class labels as value.

    Shape: batch x (batch, feature), normalised.
    """
    order = min(units.order, order_of(batch))
    with torch.no_grad():
        if batch.has_classes:
            return {"value": float(cross_entropy(outputs(network, batch.x), batch.y))}
        squares = residuals(network, batch, replace(units, order=order)).square().mean(dim=0)
    values = 1 if batch.y.ndim == 1 else batch.y.shape[1]
    deltas = values + batch.x.shape[1] if order == 2 else len(squares)
    parts = (squares[:values], squares[values:deltas], squares[deltas:])
    return {name: float(part.sum()) for name, part in zip(TERMS[: order + 1], parts, strict=False)}


def published(loss: float) -> float | None:
    """A loss as JSON takes it."""
    return float(f"{loss:.{DIGITS}g}") if math.isfinite(loss) else None


def onlooker(measure: Gauge, log: Log, optimiser: Optimiser, place: int) -> Onlooker:
    """Measures each start at doubling distances first and then at equal ones, and where it begins and ends."""
    distance = math.ceil(planned(optimiser) / POINTS)
    last: dict[int, int] = {}

    def look(theta: Tensor, *, start: int, iteration: int, ended: bool) -> None:
        before = last.get(start)
        if before is not None:
            due = iteration - before >= min(distance, max(before, 1))
            if iteration == before or not (due or ended):
                return
        last[start] = iteration
        log.tell(measure.point(theta, optimiser=optimiser, place=place, start=start, iteration=iteration))

    return look


def planned(optimiser: Optimiser) -> int:
    """Iterations over all starts."""
    match optimiser:
        case Adam():
            return optimiser.epochs
        case LBFGS():
            return optimiser.iterations
        case LevenbergMarquardt():
            return optimiser.starts * optimiser.short + optimiser.finalists * optimiser.long
        case _:
            assert_never(optimiser)


def kind_of(optimiser: Optimiser) -> str:
    """Its kind, as a specification says it."""
    kind = type(optimiser).__struct_config__.tag
    assert isinstance(kind, str)
    return kind
