"""Labels that a published model gives: Sobolev fine-tuning on a network's own data (Kichler, Afghan & Naumann 2024).

The graph of a version answers value, delta and gamma by all its features at once, whatever it was learnt from and
however it is scaled, so any version with the same features can teach: the dense network a pruned one, one product's
network another's as a start.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from app.pipeline.derived import unseen_build
from app.pipeline.folder import JobFolder
from app.pipeline.simulated import draw_features
from app.pipeline.tensors import write_rows
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.name import split_reference
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.labels import directions_of
from pricing.monte_carlo import batches
from pricing.specs.labels import LabelSpec
from pricing.types import Array, Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Manifest
from surrogate.dataset import Dataset
from surrogate.learning.training import silent
from surrogate.report.curves import HeldOutLabels
from surrogate.report.sources import TaughtLabels
from surrogate.runtime import open_session

# What a label is compared as, by the order of the labels.
OUTPUTS = ("value", "delta", "gamma")


def take_lessons(folder: JobFolder, progress: Progress) -> None:
    """Draw features and ask the teacher.

    Raises:
        UnknownModel, UnknownVersion: there is no such teacher.
        InvalidSpec: no registry, or a teacher of other features or of a smaller Box.
    """
    folder.label_facts.write(teach(folder, folder.build(), progress))


def teach(folder: JobFolder, build: BuildSpec, progress: Progress) -> TaughtLabels:
    """Leave the teacher's labels as what is learnt from, and say whose they are."""
    assert build.labels.teacher is not None
    registry = Registry(folder.registry("labels.model"))
    name, version = split_reference(build.labels.teacher)
    number = registry.resolve(name, version)
    teacher = files.read(registry.folder(name, number))
    require_teacher(build.box, teacher.manifest, f"{name}@{number}")
    features, _ = draw_features(build, progress)
    write_rows(folder.labels, ask(teacher.model, build.box, features, build.labels, seed=build.seed))
    unseen = 0 if build.dataset is not None or build.polynomial is not None else build.labels.unseen(fitted=False)
    if unseen:
        drawn = unseen_build(build, unseen)
        others, _ = draw_features(drawn, silent)
        write_rows(folder.unseen, ask(teacher.model, build.box, others, drawn.labels, seed=drawn.seed))
        folder.unseen_facts.write(HeldOutLabels(source="model", samples=unseen))
    accuracy = teacher.manifest.accuracy
    return TaughtLabels(
        teacher=f"{name}@{number}",
        sha256=hashlib.sha256(teacher.model).hexdigest(),
        samples=len(features),
        rmse={output: rmse for output in OUTPUTS if (rmse := accuracy[output].rmse) is not None},
        simulated_paths=teacher.manifest.provenance.simulated_paths,
    )


def require_teacher(box: Box, teacher: Manifest, name: str) -> None:
    """Raise InvalidSpec unless the teacher has the features of the Box and was learnt on all of it."""
    known = Box(features=tuple(teacher.features))
    if known.labels != box.labels:
        raise InvalidSpec(
            f"labels.model: the features are {', '.join(box.labels)} and those of {name} {', '.join(known.labels)}; "
            "give a model of the same",
            path="labels.model",
        )
    for i, label in enumerate(box.labels):
        if box.lower[i] < known.lower[i] or box.upper[i] > known.upper[i]:
            raise InvalidSpec(
                f"labels.model: {label} is {box.lower[i]:g} to {box.upper[i]:g} here and {known.lower[i]:g} to "
                f"{known.upper[i]:g} in {name}, which says nothing of the rest; narrow the Box or simulate the labels",
                path="labels.model",
                bound=[float(known.lower[i]), float(known.upper[i])],
            )


def ask(model: bytes, box: Box, features: Tensor, spec: LabelSpec, *, seed: int) -> Dataset:
    """The teacher's labels of the order of the specification. Shape: features (batch, feature)."""
    session, outputs = open_session(model, threads=1), list(OUTPUTS[: spec.order + 1])
    answers: dict[str, list[Array]] = {output: [] for output in outputs}
    for rows in batches(len(features), box.dimension**2):
        for output, answer in zip(outputs, session.run(outputs, {"features": features[rows].numpy()}), strict=True):
            answers[output].append(answer)
    value, *derivatives = (torch.from_numpy(np.concatenate(answers[output])) for output in outputs)
    gradient = derivatives[0] if derivatives else None
    if gradient is None or spec.order < 2:
        return Dataset(x=features, y=value, gradient=gradient)
    directions = directions_of(lambda: gradient, box, spec, samples=len(features), seed=seed)
    curvature = torch.einsum("nij,nkj->nki", derivatives[1], directions)
    return Dataset(x=features, y=value, gradient=gradient, directions=directions, curvature=curvature)
