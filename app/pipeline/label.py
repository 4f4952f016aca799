"""The steps that bring a job what it works on: labels from a simulation or a dataset, and the parent of a prune job."""

from __future__ import annotations

from collections.abc import Callable

from app.pipeline.derived import input_box
from app.pipeline.folder import JobFolder
from app.pipeline.imported import import_labels
from app.pipeline.parent import take_parent
from app.pipeline.prune import require_budget
from app.pipeline.simulated import simulate_labels
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from pricing.types import Progress

Source = Callable[[JobFolder, Progress], None]


def source_of(spec: JobSpec) -> Source:
    """Where a job's material comes from: a published version, a dataset or a simulation."""
    match spec:
        case PruneJobSpec():
            return take_parent
        case BuildSpec(problem=None):
            return import_labels
        case BuildSpec():
            return simulate_labels


def load(folder: JobFolder, progress: Progress) -> None:
    """Take over what the order prunes."""
    source_of(folder.order.read().spec)(folder, progress)


def label(folder: JobFolder, progress: Progress) -> None:
    """Bring the labels, if what is to become of them is possible."""
    build = folder.build()
    if build.polynomial is not None:
        build.polynomial.require_size(input_box(build).dimension)
    if build.pruning is not None:
        require_budget(folder, build)
    source_of(build)(folder, progress)
