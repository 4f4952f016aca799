"""What went into a surrogate: its labels, what it sees of the features, ridge, pruning, bounds. Torch-free."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from surrogate.report.record import Record


class StatesFacts(Record, frozen=True, kw_only=True):
    """A table of states that samples were drawn around: its rows, and the share of its law inside the Box."""

    states: int
    inside: float
    states_sha256: str


class SimulatedLabels(Record, frozen=True, kw_only=True):
    """Labels that were simulated.

    Args:
        standard_error: root mean square by kind of label.
        noise: the same of the value, of the derivatives by each feature of what is simulated, and of its gamma where
            the directions tell it; currency per unit of the feature.
        estimator: its specification as plain data; an exercise rule's with the degree that was chosen, and what each
            degree lost on unseen paths, as a share of the best rule's mean cash.
        bias: what the estimator states of it (`pricing.estimators.contribute.bias`), and under ``time_steps`` what
            twice the steps change (`pricing.time_step_bias`).
        table: where there is one.
        arrangements: of like assets that every sample is learnt from, where there are more than one.
    """

    simulated_paths: int
    payoff_evaluations: int
    arrangements: int | UnsetType = UNSET
    standard_error: dict[str, float]
    noise: dict[str, float] | UnsetType = UNSET
    estimator: dict[str, Any] | UnsetType = UNSET
    bias: dict[str, Any]
    table: StatesFacts | None = None


class LabelNoise(Record, frozen=True, kw_only=True):
    """Mean square of the noise in a label, and its standard error."""

    square: float
    error: float


class TaughtLabels(Record, frozen=True, kw_only=True):
    """Labels that a published model gave.

    Args:
        teacher: "name@version".
        sha256: of its graph.
        rmse: the teacher's own root mean square error by output, where it was judged.
        simulated_paths: that the teacher was learnt from.
    """

    teacher: str
    sha256: str
    samples: int
    rmse: dict[str, float]
    simulated_paths: int


class ImportedLabels(Record, frozen=True, kw_only=True):
    """Labels of a dataset.

    Args:
        dataset: its id.
        rows, copies: of the whole dataset.
        least, largest: of the features, by column.
        learnt_from_in_box: how many of the rows that were learnt from lie in the Box.
        noise: by output, where repeated features tell it.
        taught: where labels of a model were learnt from, and the rows only judge.
    """

    dataset: str
    rows: int
    copies: int | UnsetType = UNSET
    least: tuple[float, ...]
    largest: tuple[float, ...]
    learnt_from: int
    learnt_from_in_box: int | UnsetType = UNSET
    held_out: int
    simulated_paths: int
    noise: dict[str, LabelNoise] | UnsetType | None = UNSET
    taught: TaughtLabels | UnsetType = UNSET


class Sizes(Record, frozen=True, kw_only=True):
    """Numbers of parameters before pruning, after it, and without what is dead."""

    before: int
    after: int
    compact: int | UnsetType = UNSET


class Shapes(Record, frozen=True, kw_only=True):
    """Widths before pruning, after it, and without what is dead."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    compact: tuple[int, ...] | UnsetType = UNSET


class PruningStage(Record, frozen=True, kw_only=True):
    """One stage of pruning: its budget, what it kept, the bound proven on its cut and the loss after fine-tuning.

    ``objective`` is Q of the quadratic model (`pruning.quadratic.problem`) at what the cut left, in units of its rows;
    methods without such a model have none.
    """

    budget: int
    unit: str
    kept: int
    parameters: int
    widths: tuple[int, ...]
    bound: float | None
    loss: float | None
    objective: float | UnsetType = UNSET


class PruningMilestone(Record, frozen=True, kw_only=True):
    """How well a network of a pruning run fits the labels, and held-out ones where there are any.

    Args:
        network: "init", that training started from; "pre_prune", that was given; "post_prune", that the last cut left;
            "final", after what followed.
        parameters: that are not 0.
        loss: of training, in normalised units, or the cross-entropy of classes; None where it is not finite.
        value_rmse, delta_rmse, gamma_rmse: root mean square errors, raw units; gamma along the labels' directions.
        top1, top5: shares of classes that the first guess, or one of the first five, hits.
    """

    network: str
    parameters: int
    loss: float | None
    value_rmse: float | UnsetType | None = UNSET
    delta_rmse: float | UnsetType | None = UNSET
    gamma_rmse: float | UnsetType | None = UNSET
    top1: float | UnsetType = UNSET
    top5: float | UnsetType = UNSET
    held_out_loss: float | UnsetType | None = UNSET
    held_out_value_rmse: float | UnsetType | None = UNSET
    held_out_delta_rmse: float | UnsetType | None = UNSET
    held_out_gamma_rmse: float | UnsetType | None = UNSET
    held_out_top1: float | UnsetType = UNSET
    held_out_top5: float | UnsetType = UNSET


class PromisedError(Record, frozen=True, kw_only=True):
    """A relative error of the outputs that was the target, the chance of more, and what it is but for that share.

    ``measured`` is in normalised units, of the last cut, on the samples; None where it is not finite.
    """

    promised: float
    failure: float
    measured: float | None


class PruningFacts(Record, frozen=True, kw_only=True):
    """How a network was pruned (`pruning.prune.prune`)."""

    method: str
    granularity: str
    sparsity: float
    parameters: Sizes
    widths: Shapes
    inputs_removed: tuple[int, ...]
    bound: float | None
    stages: tuple[PruningStage, ...]
    milestones: tuple[PruningMilestone, ...] | UnsetType = UNSET
    warning: str | UnsetType = UNSET
    unread: tuple[str, ...] | UnsetType = UNSET
    relative_error: PromisedError | UnsetType = UNSET


class AxesFacts(Record, frozen=True, kw_only=True):
    """The axes that a surrogate sees in place of all features (`surrogate.learning.differential_pca.Axes`)."""

    count: int
    lost_gradient: float
    lost_value: float


class RidgeScore(Record, frozen=True, kw_only=True):
    """What a ridge leaves on samples held out: the mean loss, and its excess over the best in standard errors."""

    ridge: float
    loss: float
    excess: float


class RidgeFacts(Record, frozen=True, kw_only=True):
    """The ridge of the training, and those that it was chosen from where several were tried."""

    ridge: float
    tried: tuple[RidgeScore, ...] = ()


class ExerciseBounds(Record, frozen=True, kw_only=True):
    """Between what values early exercise lies at a point (`pricing.exercise.bounds`), with standard errors."""

    features: tuple[float, ...]
    low: float
    low_error: float
    high: float | None = None
    high_error: float | None = None
    exercise_probability: tuple[float, ...]
