"""The ridge that noisy labels need, chosen on samples that training did not see.

With one path a sample a network can bend to the noise: its values stay good while its gammas are lost. The ridge
rho |theta|^2 of the Sobolev loss is a brake. From the strongest ridge to none, each solution the start of the next, the
loss is measured on folds held out, and a weaker ridge must be better by more than chance: the network bends no earlier
than the labels make it. Least squares with the prior variance s^2 of every parameter has rho = noise^2 / (s^2 N): what
is chosen on t samples is used as rho t / N on N.

References: Stone 1974 (cross-validation); Breiman, Friedman, Olshen & Stone 1984, section 3.4.3 (one standard error);
Hastie, Tibshirani & Friedman 2009, section 7.10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.dataset import Dataset
from surrogate.errors import SurrogateError
from surrogate.learning.losses import Objective
from surrogate.learning.optimisers import minimise
from surrogate.report.sources import RidgeScore
from surrogate.spec import LevenbergMarquardt, Optimiser

# Ridges tried, as shares of the loss of a network of zeros, half a decade apart: with a stronger one than the first
# even a thousand one-path samples are fitted worse, and the noise that needs a weaker one than the last is no matter.
RIDGES = (*(10.0 ** (-1.5 - 0.5 * step) for step in range(12)), 0.0)
# Samples that the choice is made on: its cost is bounded, and rho scales to the others.
SAMPLES = 1 << 15
FOLDS = 5
# Iterations of second order from one ridge to the next: a solution that needs more of them bends to the noise.
ITERATIONS = 20
# A weaker ridge is the new best if its loss is less by this many standard errors of the paired differences. The least
# loss of all is often that of a ridge far too weak, by chance: noisy labels tell good networks from bad only just.
PROGRESS = 0.5
# The path ends when this many weaker ridges in a row were no new best.
PATIENCE = 3
# The strongest ridge is chosen whose loss exceeds the best by no more than this many standard errors.
ACCEPTED = 1.0
# Fewer groups of samples than this cannot be split so that each part says anything.
LEAST = 20


@dataclass(frozen=True, kw_only=True)
class RidgeChoice:
    """The ridge for all samples, a start that it has shaped, and how every one of them did. Shape: theta (free,)."""

    ridge: float
    theta: Tensor
    scores: tuple[RidgeScore, ...]


def choose_ridge(
    objective: Objective,
    theta: Tensor,
    optimisers: Sequence[Optimiser],
    *,
    generator: torch.Generator,
    progress: Progress,
) -> RidgeChoice:
    """The strongest ridge whose loss on held-out folds is within a standard error of the best on the way to none.

    Samples with the same features stay in one fold: their labels' noise may be different, what is to be learnt is not.
    First-order optimisers, for which every fit is expensive, try whole decades on one fold.

    Shape: theta ``free``.

    Raises:
        SurrogateError: too few different samples.
    """
    quick = all(isinstance(optimiser, LevenbergMarquardt) for optimiser in optimisers)
    splits = folds(objective.dataset, generator=generator)[: FOLDS if quick else 1]
    # A network of zeros leaves the labels: the loss that is 1 in the usual units, and more where deltas weigh more.
    unit = float(objective.loss(torch.zeros_like(theta)))
    ridges = [unit * ridge for ridge in (RIDGES if quick else RIDGES[::2])]
    points, losses, kept = [theta] * len(splits), list[Tensor](), list[Tensor]()
    best = 0
    for step, ridge in enumerate(ridges):
        held_out = []
        for index, (train, test) in enumerate(splits):
            learnt = replace(objective, dataset=objective.dataset.rows(train), ridge=ridge)
            start = points[0 if step == 0 else index]
            using = short(optimisers) if step == index == 0 else short(continued(optimisers))
            points[index] = minimise(learnt, start, using, generator=generator, progress=_silent)[0]
            held_out.append(_losses(replace(objective, dataset=objective.dataset.rows(test), ridge=0.0), points[index]))
            progress((step * len(splits) + index + 1) / (len(ridges) * len(splits)))
        losses.append(torch.cat(held_out))
        kept.append(points[0])
        if _excess(losses[step], losses[best]) < -PROGRESS:
            best = step
        if step - best >= PATIENCE:
            break
    scores = tuple(
        RidgeScore(ridge=ridge, loss=float(loss.mean()), excess=_excess(loss, losses[best]))
        for ridge, loss in zip(ridges, losses, strict=False)
    )
    chosen = next(place for place, score in enumerate(scores) if score.excess <= ACCEPTED)
    share = len(splits[0][0]) / len(objective.dataset)
    return RidgeChoice(ridge=ridges[chosen] * share, theta=kept[chosen], scores=scores)


def short(optimisers: Sequence[Optimiser]) -> tuple[Optimiser, ...]:
    """The optimisers without the polish of what they found."""
    return tuple(
        msgspec.structs.replace(optimiser, short=min(optimiser.short, ITERATIONS), finalists=1, long=1)
        if isinstance(optimiser, LevenbergMarquardt)
        else optimiser
        for optimiser in optimisers
    )


def continued(optimisers: Sequence[Optimiser]) -> tuple[Optimiser, ...]:
    """The optimisers from a start that is good already: no random ones."""
    return tuple(
        msgspec.structs.replace(optimiser, starts=1, finalists=1)
        if isinstance(optimiser, LevenbergMarquardt)
        else optimiser
        for optimiser in optimisers
    )


def _silent(_: float) -> None:
    """Report nothing."""


def folds(dataset: Dataset, *, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Indices to train on and to judge on, for each fold of up to SAMPLES samples; equal features stay together.

    Shape: -> learnt, held out of each.

    Raises:
        SurrogateError: too few different samples.
    """
    order = draw_groups(dataset.x, generator=generator)[:SAMPLES]
    groups = torch.unique_consecutive(dataset.x[order], dim=0, return_inverse=True)[1]
    if int(groups[-1]) + 1 < LEAST:
        raise SurrogateError(
            f"ridge 'auto' needs {LEAST} samples with different features, got {int(groups[-1]) + 1}; give the ridge as "
            "a number"
        )
    fold_of = groups % FOLDS
    return [(order[fold_of != fold], order[fold_of == fold]) for fold in range(FOLDS)]


def draw_groups(x: Tensor, *, generator: torch.Generator) -> Tensor:
    """A random order of the samples in which equal features are neighbours. Shape: batch feature -> batch."""
    groups = torch.unique(x, dim=0, return_inverse=True)[1]
    place = torch.randperm(int(groups.max()) + 1, generator=generator)[groups]
    return place.argsort(stable=True)


def _losses(objective: Objective, theta: Tensor) -> Tensor:
    """The loss of every sample. Shape: free -> batch."""
    with torch.no_grad():
        return objective.residuals(theta).square().sum(dim=1)


def _excess(loss: Tensor, over: Tensor) -> float:
    """Mean difference of two losses of the same samples, in its standard errors; 0 where they are equal."""
    difference = loss - over
    error = float(difference.std()) / math.sqrt(len(difference))
    return float(difference.mean()) / error if error > 0.0 else 0.0
