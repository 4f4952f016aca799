"""What a build has chosen by itself, and why. Torch-free."""

from __future__ import annotations

from surrogate.report.record import Record


class Round(Record, frozen=True, kw_only=True):
    """A round of labels and training, and how it went: shares of variances by kind of label.

    Args:
        paths: of one replicate.
        iterations: of the last optimiser.
        order: of the derivatives that were learnt.
        errors: 1 - R2 on fresh labels, and no less than their noise.
        learnt: 1 - R2 on labels that were learnt from.
        noise: mean square standard errors of the labels.
        reason: why it took what it took.
    """

    samples: int
    paths: int
    hidden: tuple[int, ...]
    iterations: int
    order: int
    errors: dict[str, float]
    learnt: dict[str, float]
    noise: dict[str, float]
    reason: str


class Choices(Record, frozen=True, kw_only=True):
    """The rounds of a build that is told nothing of labels, network and training.

    Args:
        rounds: the first one first.
        taken: the number of the round whose network is the build's, from 0.
        ended: why nothing grew any more.
    """

    rounds: tuple[Round, ...]
    taken: int
    ended: str
