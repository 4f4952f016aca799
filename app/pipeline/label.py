"""The steps that bring a job what it works on: labels from a simulation, a dataset or a model, and a job's parent."""

from __future__ import annotations

from collections.abc import Callable

from app.pipeline.derived import input_box
from app.pipeline.folder import JobFolder
from app.pipeline.imported import import_labels
from app.pipeline.parent import take_parent
from app.pipeline.prune import shape
from app.pipeline.simulated import simulate_labels
from app.pipeline.taught import take_lessons
from app.specification.build import BuildSpec
from app.specification.dataset import DatasetSource
from app.specification.jobs import JobSpec
from app.specification.possible import require_inputs
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.labels import LabelSpec
from pricing.types import Progress

Source = Callable[[JobFolder, Progress], None]


def source_of(spec: JobSpec) -> Source:
    """Where a job's material comes from: a published version, a dataset, another model or a simulation."""
    match spec:
        case PruneJobSpec() | RetrainJobSpec():
            return take_parent
        case BuildSpec(dataset=DatasetSource()):
            return import_labels
        case BuildSpec(labels=LabelSpec(model=str())):
            return take_lessons
        case BuildSpec():
            return simulate_labels


def load(folder: JobFolder, progress: Progress) -> None:
    """Take over what the order prunes or trains again."""
    source_of(folder.order.read().spec)(folder, progress)


def label(folder: JobFolder, progress: Progress) -> None:
    """Bring the labels, if what is to become of them is possible."""
    build = folder.build()
    require_inputs(build, input_box(build).dimension, shape(folder, build) if folder.prunes() else None)
    source_of(build)(folder, progress)
