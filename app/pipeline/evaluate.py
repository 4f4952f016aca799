"""The step that judges the result."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace

from app.pipeline.derived import reduction_of
from app.pipeline.executor import open_map
from app.pipeline.folder import JobFolder
from app.pipeline.provenance import simulated_paths
from app.pipeline.tensors import read_final, read_rows
from app.settings import Settings
from app.specification.build import BuildSpec
from pricing.exercise import bounds
from pricing.specs.base import load
from pricing.specs.problem import PricingProblem
from pricing.types import Progress
from surrogate.evaluation.evaluate import evaluate as evaluate_surrogate
from surrogate.evaluation.floor import noise_floor
from surrogate.evaluation.held_out import judge
from surrogate.evaluation.points import Ears, planned
from surrogate.report.record import known
from surrogate.report.report import AnyReport, LabelFacts
from surrogate.report.sources import ExerciseBounds, ImportedLabels, SimulatedLabels
from surrogate.spec import EvaluationSpec

# Told what a step takes, in a sentence.
Noted = Callable[[str], None]


def unnoted(sentence: str) -> None:
    """Tell nobody."""


def evaluate(folder: JobFolder, progress: Progress, noted: Noted = unnoted) -> None:
    """Measure the errors and put beside them what the earlier steps found out.

    Args:
        noted: is told how many points are judged and what they take.
    """
    build, labels = folder.build(), folder.label_facts.read()
    workers = Settings().evaluation_workers
    with open_map(workers) as mapper:
        ears = Ears(progress=progress, noted=noted, mapper=mapper, abreast=workers)
        measured, exercised = measure(folder, build, labels, ears), None
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
            simulated_paths=simulated_paths(labels, folder.parent.read_if_there()),
            bounds=None if exercised is None else tuple(load(ExerciseBounds, point) for point in exercised),
        )
    )


def enough(build: BuildSpec, problem: PricingProblem) -> EvaluationSpec:
    """How it is judged: where nothing is said of it, on as many points as are required before it is published."""
    given, required = build.evaluation, build.requirement
    silent = given.samples is UNSET and given.seconds is UNSET
    if required is None or not silent or planned(problem, given).samples >= required.points:
        return given
    return replace(given, samples=required.points)


def measure(folder: JobFolder, build: BuildSpec, labels: LabelFacts, ears: Ears) -> AnyReport:
    """Errors against an independent reference, or against the rows that a dataset held out."""
    surrogate = read_final(folder)
    if build.problem is None:
        assert isinstance(labels, ImportedLabels)
        return judge(surrogate, read_rows(folder.held_out), noise=known(labels.noise) or None)
    reduction, noise = reduction_of(build), known(labels.noise) if isinstance(labels, SimulatedLabels) else None
    return evaluate_surrogate(
        surrogate,
        build.problem,
        enough(build, build.problem),
        seed=build.seed,
        label_error=None if noise is None else noise_floor(noise, build.problem, reduction, seed=build.seed),
        reduction=reduction,
        ears=ears,
    )
