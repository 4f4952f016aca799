"""The step that writes what is published."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from app.pipeline.derived import reduction_of
from app.pipeline.environment import environment
from app.pipeline.folder import JobFolder
from app.pipeline.provenance import provenance
from app.pipeline.tensors import read_final
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.make import make_artifact
from surrogate.report.curves import TrainingCurves


def export(folder: JobFolder, _: Progress) -> None:
    """Write the ONNX graph, check it against the network, and describe it."""
    build = folder.build()
    made = make_artifact(
        read_final(folder),
        name=build.name,
        problem=build.problem or build.box,
        report=folder.report.read(),
        certificate=folder.certificate.read(),
        provenance=provenance(folder, build),
        float32=build.export.float32,
        reduction=reduction_of(build),
        training=seen(folder),
        requirement=build.requirement,
        environment=environment(),
    )
    unfinished = Path(mkdtemp(dir=folder.path))
    files.write(made, unfinished)
    shutil.rmtree(folder.artifact, ignore_errors=True)
    unfinished.rename(folder.artifact)


def seen(folder: JobFolder) -> TrainingCurves | None:
    """The losses of all trainings of the job."""
    steps = [step for file in (folder.training, folder.fine_tuning) if (step := file.read_if_there()) is not None]
    if not steps:
        return None
    trainings = tuple(training for step in steps for training in step.trainings)
    return TrainingCurves(trainings=trainings, held_out=steps[0].held_out)
