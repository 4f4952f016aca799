"""How good a surrogate is, by output and by part of the Box, and how surely that is right. Torch-free."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from surrogate.report.record import Record

# Fewer points than this say nothing of a variance: they have errors, and no R2 nor quantiles.
FEWEST_POINTS = 8
# The shares whose quantiles are told, and the chance that a bound is right.
SHARES, CONFIDENCE = (0.5, 0.9, 0.99), 0.95
# An error that is the same everywhere has a name from this share of the mean square error on.
LEAST_OFFSET = 0.25
# What every surrogate answers, in the order in which it is shown.
OUTPUTS = ("value", "delta", "gamma")


class ErrorBound(Record, frozen=True, kw_only=True):
    """With a confidence of 95 %, at least this share of the samples' part of the Box has an error below ``error``.

    Whatever the law of the errors: an order statistic of independent points, with what the reference may miss added.
    """

    share: float
    error: float


class Offset(Record, frozen=True, kw_only=True):
    """An error that is the same everywhere: its mean and standard error, and its share of the mean square error."""

    mean: float
    standard_error: float
    share: float


class OutputScore(Record, frozen=True, kw_only=True):
    """Errors of one output over some samples; None where nothing is known to judge it by.

    The error of a point is that of its worst coordinate in quantiles and bounds.

    Args:
        rmse: root mean square error, in the output's unit.
        max_error: largest absolute error.
        r2: None also of too few samples.
        frobenius_error: of gamma, the error of whole Hessians as a share of their size.
        parallel_r2: of gamma, R2 of the parallel gamma 1'H1; None also where it vanishes.
        explained: against noisy labels, R2 without their noise.
        explained_error: its standard error.
        unexplained: 1 - R2, with the digits that R2 has not.
        quantiles: of the absolute error, by share; of `FEWEST_POINTS` points or more.
        bounds: of independent points alone.
        offset: where a constant part of the error is beyond chance and beyond `LEAST_OFFSET` of its mean square.
    """

    rmse: float | None
    max_error: float | None
    r2: float | None
    unexplained: float | UnsetType | None = UNSET
    quantiles: dict[str, float] | UnsetType = UNSET
    bounds: tuple[ErrorBound, ...] | UnsetType = UNSET
    offset: Offset | UnsetType = UNSET
    frobenius_error: float | UnsetType | None = UNSET
    parallel_r2: float | UnsetType | None = UNSET
    explained: float | UnsetType | None = UNSET
    explained_error: float | UnsetType | None = UNSET


class SampleScores(Record, frozen=True, kw_only=True):
    """Errors of every output, by its name, over some samples; in JSON each output lies beside ``samples``."""

    samples: int
    outputs: dict[str, OutputScore]

    def __getitem__(self, output: str) -> OutputScore:
        return self.outputs[output]

    def shown(self) -> list[tuple[str, OutputScore]]:
        """The outputs with their scores in the order in which they are shown, the named Greeks last."""
        others = sorted(set(self.outputs) - set(OUTPUTS))
        return [(output, self[output]) for output in (*OUTPUTS, *others) if output in self.outputs]


class PairScore(Record, frozen=True, kw_only=True):
    """Errors of the second derivatives by a pair of features.

    Args:
        pair: their names.
        r2: None where the derivatives vanish or do not vary.
        perfect_r2: what the truth would score where the reference has errors.
        unexplained, quantiles, bounds, offset: as of `OutputScore`.
    """

    pair: str
    r2: float | None
    perfect_r2: float | None
    rmse: float
    max_error: float
    unexplained: float | UnsetType | None = UNSET
    quantiles: dict[str, float] | UnsetType = UNSET
    bounds: tuple[ErrorBound, ...] | UnsetType = UNSET
    offset: Offset | UnsetType = UNSET


class Bucket(SampleScores, frozen=True, kw_only=True):
    """The samples of one part of the Box, which ``bucket`` names.

    Args:
        second_order: as of `Accuracy`.
    """

    bucket: str
    second_order: tuple[PairScore, ...] | UnsetType = UNSET


class Accuracy(SampleScores, frozen=True, kw_only=True):
    """Errors over the whole Box, and over parts of it.

    Args:
        buckets: by the distance to the event that decides the payoff.
        triggers: by the distance to a barrier, where there is one.
        maturities: where the maturity is a feature.
        second_order: by pairs of features other than the spots' own, the worst first.
    """

    buckets: tuple[Bucket, ...]
    triggers: tuple[Bucket, ...] | None = None
    maturities: tuple[Bucket, ...] | None = None
    second_order: tuple[PairScore, ...] | None = None

    def parts(self) -> tuple[Bucket, ...]:
        """All buckets, of every kind."""
        return (*self.buckets, *(self.triggers or ()), *(self.maturities or ()))


class ReferenceQuality(Record, frozen=True, kw_only=True):
    """What the surrogate is judged against, and how surely that is right.

    Args:
        kind: of method.
        relative_error: of value or delta, whichever is larger; None of labels with their noise.
        value_error, delta_error, gamma_error: root mean square errors, where it knows its own.
        perfect_r2: what the truth itself would score against it, by output.
        duality_gap: of early exercise, how far an upper bound lies above the value, root mean square, currency.
        unjudged: what it does not know of the Hessian, and why.
    """

    kind: str
    relative_error: float | None
    value_error: float | None = None
    delta_error: float | None = None
    gamma_error: float | None = None
    perfect_r2: dict[str, float] | UnsetType = UNSET
    duality_gap: float | UnsetType = UNSET
    unjudged: str | None = None

    @property
    def errors(self) -> dict[str, float]:
        """Root mean square errors by output, of those that are known."""
        errors = {"value": self.value_error, "delta": self.delta_error, "gamma": self.gamma_error}
        return {output: error for output, error in errors.items() if error is not None}


class ShapeCheck(Record, frozen=True, kw_only=True):
    """A no-arbitrage statement on the samples; the violation is a share of the statement's own scale."""

    statement: str
    worst_violation: float
    holds: bool


class GammaSize(Record, frozen=True, kw_only=True):
    """How large gammas are that nothing judges (Frobenius)."""

    rms: float
    largest: float


class ImpliedScore(Record, frozen=True, kw_only=True):
    """Errors of the implied volatility of a call or put.

    Args:
        law: "lognormal" or "normal".
        unit: of the errors.
        samples: that have one by the reference and by the surrogate: what is judged.
        undefined: that have none by the reference: too near to intrinsic for a float64 value to tell.
        missing: that have one by the reference and none by the surrogate, whose value lies below intrinsic.
        rmse: root mean square error, weighted by the square of the true vega.
        max_error: largest where vega is at least a tenth of its largest.
    """

    law: str
    unit: str
    samples: int
    undefined: int
    missing: int
    rmse: float | None
    max_error: float | None
