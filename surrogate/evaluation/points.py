"""How many points a surrogate is judged on, and the reference at them, batch by batch, within a budget if there is one.

Batches are the same whatever they take, so that the same points give the same bits; only a budget looks at the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from pricing.references import reference as references
from pricing.references.reference import Reference
from pricing.specs.problem import PricingProblem
from pricing.types import Array, Progress
from surrogate.evaluation.exact import joined
from surrogate.spec import EvaluationSpec

# Points of a slow reference where nobody says how many: what it makes in so many minutes on one thread, but enough for
# buckets of a tenth of the Box to have ten.
MINUTES, LEAST = 2, 128
# The first batch, which foretells the rest; a batch after it; each of a reference that takes no time to speak of, whose
# solutions all points of a batch share; what a batch takes of a budget, seconds.
FIRST, BATCH, WHOLE, WAVE_SECONDS = 32, 128, 4096, 10.0
# What is foretold, and what other processes are started for.
TOLD_SECONDS, WORTH_SECONDS = 5.0, 20.0

# One batch after the other, in this process or in others.
Mapper = Callable[[Callable[[Array], Reference], Sequence[Array]], Iterable[Reference]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many points, and why so many where nobody said."""

    samples: int
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ears:
    """Who is told how far it is, and what the rest takes; and how many batches are made at a time, by what.

    Args:
        noted: told a sentence once, after the first batch, if more than a few seconds are to come.
    """

    progress: Progress = lambda _: None
    noted: Callable[[str], None] = lambda _: None
    mapper: Mapper = map
    abreast: int = 1


def planned(problem: PricingProblem, spec: EvaluationSpec) -> Plan:
    """As many points as are asked for, or as the reference's cost suggests."""
    if spec.samples is not UNSET:
        return Plan(samples=spec.samples)
    if spec.seconds is not UNSET:
        return Plan(samples=spec.most(problem.box.dimension), reason=f"as many as {spec.seconds:g} s allow")
    pace = references.affordable(problem)
    if pace is None:
        return Plan(samples=spec.usual, reason="the reference takes no time to speak of")
    samples = min(max(MINUTES * pace, LEAST), spec.usual)
    return Plan(samples=samples, reason=f"the reference judges about {pace} points a minute")


def referenced(problem: PricingProblem, features: Array, *, seed: int, seconds: float | None, ears: Ears) -> Reference:
    """The reference at the features, at fewer of them where the budget is over before; at the first batch always.

    Shape: features batch feature.
    """
    begun, count, one = time.monotonic(), len(features), Once(problem, seed)
    first, size = (WHOLE, WHOLE) if references.affordable(problem) is None else (FIRST, BATCH)
    parts = [one(features[:first])]
    done = min(first, count)
    each = (time.monotonic() - begun) / done
    if seconds is not None:
        size = max(1, min(size, math.ceil(WAVE_SECONDS / max(each, 1e-9))))
    abreast = ears.abreast if each * (count - done) > WORTH_SECONDS else 1
    left = each / abreast * (count - done)
    if left >= TOLD_SECONDS:
        ears.noted(foretold(count, left, seconds))
    for wave in _waves(features[done:], size, abreast):
        spent = time.monotonic() - begun
        if seconds is not None and spent + each * len(wave[0]) > seconds:
            break
        parts += ears.mapper(one, wave) if abreast > 1 else map(one, wave)
        done += sum(map(len, wave))
        ears.progress(done / count if seconds is None else min(1.0, (time.monotonic() - begun) / seconds))
    return joined(parts)


@dataclass(frozen=True)
class Once:
    """The reference of one batch, as another process may be told it."""

    problem: PricingProblem
    seed: int

    def __call__(self, x: Array) -> Reference:
        """At these features. Shape: batch feature."""
        return references.reference(self.problem, x, seed=self.seed)


def _waves(features: Array, size: int, abreast: int) -> Iterator[list[Array]]:
    """Batches of a size, so many at a time."""
    batches = [features[start : start + size] for start in range(0, len(features), size)]
    return (batches[i : i + abreast] for i in range(0, len(batches), abreast))


def foretold(count: int, left: float, seconds: float | None) -> str:
    """What is judged and what it takes.

    >>> foretold(1024, 139.7, None), foretold(65536, 9000.0, 600.0)
    ('1,024 points, about 140 s', 'up to 65,536 points in 600 s, about 4,369 of them')
    """
    if seconds is None or left <= seconds:
        return f"{count:,} points, about {left:,.0f} s"
    return f"up to {count:,} points in {seconds:,.0f} s, about {int(count * seconds / left):,} of them"
