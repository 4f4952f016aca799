"""The step that judges the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.pipeline.derived import reduction_of
from app.pipeline.facts import ImportedLabels, LabelFacts, SimulatedLabels
from app.pipeline.folder import JobFolder
from app.pipeline.tensors import read_final, read_rows
from app.specification.build import BuildSpec
from pricing.exercise import bounds
from pricing.specs.base import dump
from pricing.types import Progress
from surrogate.evaluation.evaluate import evaluate as evaluate_surrogate
from surrogate.evaluation.held_out import judge
from surrogate.evaluation.replicates import Noise


def evaluate(folder: JobFolder, _: Progress) -> None:
    """Measure the errors and put beside them what the earlier steps found out."""
    build, labels = folder.build(), folder.label_facts.read()
    axes, ridge = folder.axes.read_if_there(), folder.ridge.read_if_there()
    report = {
        **accuracy_report(folder, build, labels),
        "labels": dump(labels),
        "pruning": folder.pruning.read_if_there(),
        "axes": None if axes is None else dump(axes),
    }
    if ridge is not None:
        report["ridge"] = dump(ridge)
    if build.problem is not None and build.problem.payoff.facts.decided == "holder":
        report["bounds"] = bounds.report(build.problem, build.labels.estimator, seed=build.seed)
    folder.report.write(report)


def accuracy_report(folder: JobFolder, build: BuildSpec, labels: LabelFacts) -> Mapping[str, Any]:
    """Errors against an independent reference, or against the rows that a dataset held out."""
    surrogate = read_final(folder)
    match labels:
        case SimulatedLabels():
            return evaluate_surrogate(
                surrogate,
                build.pricing,
                build.evaluation,
                seed=build.seed,
                label_error=labels.standard_error,
                reduction=reduction_of(build),
            )
        case ImportedLabels():
            noise = {output: Noise(each.square, each.error) for output, each in (labels.noise or {}).items()}
            return judge(surrogate, read_rows(folder.held_out), noise=noise or None)
