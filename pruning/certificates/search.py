"""Branch and bound: enclosures of several quantities over the Box, sharpened where they are worst.

The chart's coordinates are cut into sub-boxes, and the sub-boxes whose enclosures promise least are halved first, a
batch at a time. What is asked is the largest value of every quantity. A sub-box is finished when its upper bounds are
within `GAP` of the largest values seen at points of the Box, or below the tolerance where that is all one can hope for.
The union of the sub-boxes always holds the Box, so that their largest upper bounds are proven whenever it stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context, Decimal
from operator import itemgetter

import torch
from torch import Tensor

from pruning.certificates.chart import BoxChart
from pruning.intervals.interval import Interval

# A bound within so much of what was seen is as good as exact.
GAP = 0.05
# Sub-boxes of one step, and numbers of their largest tensor: 4 MB stay in a cache.
BATCH = 2048
ENTRIES = 1 << 19
# Sub-boxes that points are sought in at once.
CHUNK = 256
# Sub-boxes that each chart is tried on.
TRIAL = 256
# Share of the searched volume below which a sub-box is not worth deciding: 2^-20.
SMALLEST_SHARE = 2.0**-20
# Digits of a published bound, rounded up.
DIGITS = Context(prec=3, rounding=ROUND_CEILING)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which quantities are bounded, and how well.

    Args:
        chart: the coordinates of the sub-boxes.
        enclose: ranges over sub-boxes, and how far each coordinate carries each quantity there.
            Shape: (box, coordinate) -> (box, quantity); (box, quantity, coordinate).
        observe: their values at points of the Box. Shape: batch input -> batch quantity.
        tolerance: below it the search goes on to what was seen, above it only to the tolerance. Shape: (quantity,).
        scale: size of an error worth a sub-box. Shape: (quantity,).
        floor: bounds below it need no sharpening. Shape: (quantity,).
    """

    chart: BoxChart
    enclose: Callable[[Interval], tuple[Interval, Tensor]]
    observe: Callable[[Tensor], Tensor]
    tolerance: Tensor
    scale: Tensor
    floor: Tensor


@dataclass(frozen=True, kw_only=True)
class Cover:
    """Sub-boxes that together hold the Box, with the ranges there.

    Shape: boxes (box, coordinate), ranges (box, quantity), carries (box, quantity, coordinate) as `Question.enclose`
    gives them, seen (quantity,) the largest values at points.
    """

    boxes: Interval
    ranges: Interval
    carries: Tensor
    seen: Tensor
    tried: int

    @property
    def bounds(self) -> Tensor:
        """Proven upper bounds over the whole Box. Shape: -> quantity."""
        return self.ranges.upper.amax(dim=0)

    def holding(self, t: Tensor, *, above: float, quantity: int) -> Tensor:
        """Which points lie in a sub-box whose bound is above a number. Shape: batch coordinate -> batch."""
        left = self.ranges.upper[:, quantity] > above
        held = torch.zeros(len(t), dtype=torch.bool)
        for some in torch.nonzero(left)[:, 0].tensor_split(1 + int(left.sum()) // CHUNK):
            lower, upper = self.boxes.lower[some], self.boxes.upper[some]
            held |= ((t[:, None] >= lower) & (t[:, None] <= upper)).all(dim=2).any(dim=1)
        return held


def best_cover(
    ask: Callable[[BoxChart], Question], charts: Sequence[BoxChart], points: Tensor, *, budget: int, entries: int
) -> tuple[BoxChart, Cover]:
    """The cover in the chart that `TRIAL` sub-boxes promise most of; ``budget`` and ``tried`` are over all charts.

    Args:
        points: of the Box, where the quantities are looked at first. Shape: batch input.
        budget: with 0 not even the Box is enclosed, and nothing is known.
        entries: numbers that one sub-box takes, for the size of a step.
    """
    if budget < 1:
        question = ask(charts[0])
        return question.chart, _unknown(question, question.observe(points).amax(dim=0))
    size = max(1, min(BATCH, ENTRIES // entries))
    trials = list[tuple[float, Question, Cover]]()
    for chart in charts:
        question = ask(chart)
        root = chart.whole
        cover = _cover(question, Interval(root.lower[None], root.upper[None]), question.observe(points).amax(dim=0))
        cover = _searched(question, cover, budget=min(TRIAL, budget // len(charts)), size=size)
        trials.append((float(_excess(question, cover).max()), question, cover))
        if trials[-1][0] <= 0.0:
            break
    _, question, cover = min(trials, key=itemgetter(0))
    lost = sum(trial.tried for _, _, trial in trials) - cover.tried
    cover = _searched(question, cover, budget=budget - lost, size=size)
    return question.chart, replace(cover, tried=cover.tried + lost)


def _searched(question: Question, cover: Cover, *, budget: int, size: int) -> Cover:
    """The cover when it is finished or ``budget`` sub-boxes were tried, ``size`` in a step."""
    while budget - cover.tried >= 2:
        excess = _excess(question, cover).amax(dim=1)
        chosen = torch.argsort(excess, descending=True, stable=True)[: max(1, min(size, budget - cover.tried) // 2)]
        chosen = chosen[excess[chosen] > 0.0]
        if not len(chosen):
            break
        cover = _refined(question, cover, chosen)
    return cover


def _excess(question: Question, cover: Cover) -> Tensor:
    """How far every sub-box is from finished, by quantity. Shape: -> box quantity."""
    reached = torch.maximum((1.0 + GAP) * cover.seen, question.floor)
    # Where the share is settled, or the sub-box too small to add to it, only the size is asked.
    volume = (cover.boxes.width / question.chart.whole.width).prod(dim=1)
    settled = (cover.ranges.lower > question.tolerance) | (volume < SMALLEST_SHARE)[:, None]
    goal = torch.where((reached <= question.tolerance) | settled, reached, question.tolerance)
    return (cover.ranges.upper - goal) / question.scale


def _unknown(question: Question, seen: Tensor) -> Cover:
    """The Box as one sub-box of which nothing is known."""
    root = question.chart.whole
    anything = torch.full_like(seen, torch.inf)[None]
    return Cover(
        boxes=Interval(root.lower[None], root.upper[None]),
        ranges=Interval(-anything, anything),
        carries=anything[..., None].expand(-1, -1, len(root.lower)),
        seen=seen,
        tried=0,
    )


def _cover(question: Question, boxes: Interval, seen: Tensor) -> Cover:
    ranges, carries = question.enclose(boxes)
    # Where numbers overflow nothing is known.
    unknown = ranges.lower.isnan() | ranges.upper.isnan()
    ranges = Interval(ranges.lower.where(~unknown, -torch.inf), ranges.upper.where(~unknown, torch.inf))
    return Cover(boxes=boxes, ranges=ranges, carries=carries, seen=seen, tried=len(boxes.lower))


def _refined(question: Question, cover: Cover, chosen: Tensor) -> Cover:
    """The cover with some sub-boxes halved; halves that hold no point of the Box are left out."""
    boxes = Interval(cover.boxes.lower[chosen], cover.boxes.upper[chosen])
    ranges = Interval(cover.ranges.lower[chosen], cover.ranges.upper[chosen])
    seen = torch.maximum(cover.seen, question.observe(question.chart.point(boxes.middle)).amax(dim=0))
    worst = _excess(question, cover)[chosen].argmax(dim=1)
    rows = torch.arange(len(chosen))
    where = cover.carries[chosen, worst].argmax(dim=1)
    cut = boxes.middle[rows, where]
    lower, upper = boxes.lower.repeat(2, 1), boxes.upper.repeat(2, 1)
    upper[rows, where] = cut
    lower[rows + len(chosen), where] = cut
    halves = Interval(lower, upper)
    kept = question.chart.meets(halves)
    halves = Interval(lower[kept], upper[kept])
    new = _cover(question, halves, seen)
    parents = Interval(ranges.lower.repeat(2, 1)[kept], ranges.upper.repeat(2, 1)[kept])
    others = torch.ones(len(cover.boxes.lower), dtype=torch.bool)
    others[chosen] = False
    return Cover(
        boxes=_joined(cover.boxes, others, halves),
        ranges=_joined(cover.ranges, others, new.ranges.meet(parents)),
        carries=torch.cat([cover.carries[others], new.carries]),
        seen=seen,
        tried=cover.tried + 2 * len(chosen),
    )


def _joined(old: Interval, kept: Tensor, new: Interval) -> Interval:
    return Interval(torch.cat([old.lower[kept], new.lower]), torch.cat([old.upper[kept], new.upper]))


def round_up(number: float) -> float | None:
    """The least number of three digits that is not smaller; None for what is not finite.

    >>> round_up(0.0012341)
    0.00124
    """
    return float(DIGITS.create_decimal(Decimal(number))) if math.isfinite(number) else None
