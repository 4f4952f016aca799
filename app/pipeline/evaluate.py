"""The step that judges the result."""

from __future__ import annotations

from msgspec.structs import replace

from app.pipeline.derived import reduction_of
from app.pipeline.folder import JobFolder
from app.pipeline.tensors import read_final, read_rows
from app.specification.build import BuildSpec
from pricing.exercise import bounds
from pricing.specs.base import load
from pricing.types import Progress
from surrogate.evaluation.evaluate import evaluate as evaluate_surrogate
from surrogate.evaluation.held_out import judge
from surrogate.report.record import known
from surrogate.report.report import AnyReport, LabelFacts
from surrogate.report.sources import ExerciseBounds, ImportedLabels, SimulatedLabels


def evaluate(folder: JobFolder, _: Progress) -> None:
    """Measure the errors and put beside them what the earlier steps found out."""
    build, labels = folder.build(), folder.label_facts.read()
    measured, exercised = measure(folder, build, labels), None
    simulated, chosen = isinstance(labels, SimulatedLabels), folder.chosen.read_if_there()
    if simulated and build.problem is not None and build.problem.payoff.facts.decided == "holder":
        exercised = bounds.report(build.problem, build.labels.estimator, seed=build.seed)
    folder.report.write(
        replace(
            measured,
            labels=labels,
            pruning=folder.pruning.read_if_there(),
            axes=folder.axes.read_if_there(),
            ridge=folder.ridge.read_if_there(),
            choices=None if chosen is None else chosen.choices,
            bounds=None if exercised is None else tuple(load(ExerciseBounds, point) for point in exercised),
        )
    )


def measure(folder: JobFolder, build: BuildSpec, labels: LabelFacts) -> AnyReport:
    """Errors against an independent reference, or against the rows that a dataset held out."""
    surrogate = read_final(folder)
    if build.problem is None:
        assert isinstance(labels, ImportedLabels)
        return judge(surrogate, read_rows(folder.held_out), noise=known(labels.noise) or None)
    return evaluate_surrogate(
        surrogate,
        build.problem,
        build.evaluation,
        seed=build.seed,
        label_error=labels.standard_error if isinstance(labels, SimulatedLabels) else None,
        reduction=reduction_of(build),
    )
