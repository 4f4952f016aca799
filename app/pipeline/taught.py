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

from app.pipeline.derived import reduction_of, unseen_build
from app.pipeline.folder import JobFolder
from app.pipeline.settle import problem_of, require_teacher
from app.pipeline.simulated import draw_canonical, draw_features
from app.pipeline.tensors import write_rows
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.name import split_reference
from pricing.domain import Box
from pricing.labels import directions_of
from pricing.monte_carlo import batches
from pricing.specs.labels import LabelSpec
from pricing.types import Array, Progress
from surrogate.artifact import files
from surrogate.artifact.files import Artifact
from surrogate.dataset import Dataset
from surrogate.export.onnx_reader import read_surrogate
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.learning.training import silent
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import from_features
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
    require_teacher(build, teacher.manifest, f"{name}@{number}")
    write_rows(folder.labels, lessons(teacher, build, progress))
    unseen = 0 if build.dataset is not None or build.polynomial is not None else build.labels.unseen(fitted=False)
    if unseen:
        write_rows(folder.unseen, lessons(teacher, unseen_build(build, unseen), silent))
        folder.unseen_facts.write(HeldOutLabels(source="model", samples=unseen))
    accuracy = teacher.manifest.accuracy
    return TaughtLabels(
        teacher=f"{name}@{number}",
        sha256=hashlib.sha256(teacher.model).hexdigest(),
        samples=build.labels.samples,
        rmse={output: rmse for output in OUTPUTS if (rmse := accuracy[output].rmse) is not None},
        simulated_paths=teacher.manifest.provenance.simulated_paths,
    )


def lessons(teacher: Artifact, build: BuildSpec, progress: Progress) -> Dataset:
    """The teacher's labels of what is learnt, by its inputs.

    Where the price scales exactly, and the teacher's does, the small functions inside both are of the same inputs:
    these are drawn as they are to be simulated and the teacher's function is asked, not its price at features that
    reach the corners of the inputs by chance. Any other teacher is asked by all features.

    Shape: -> x (batch, input).
    """
    spec, seed, reduction = build.labels, build.seed, reduction_of(build)
    if (
        reduction is not None
        and problem_of(teacher.manifest) is not None
        and teacher.manifest.controlled == reduction.controlled
    ):
        features, _ = draw_canonical(build, progress)
        inputs = evaluate([reduction.local_inputs], features)[0]
        return answers(read_surrogate(teacher.model), reduction.box, inputs, spec, seed=seed)
    features, _ = draw_features(build, progress)
    rows = ask(teacher.model, build.box, features, spec, seed=seed)
    return rows if reduction is None else from_features(reduction, rows)


def answers(surrogate: Surrogate, box: Box, x: Tensor, spec: LabelSpec, *, seed: int) -> Dataset:
    """What a surrogate says at its inputs, of the order of the specification. Shape: x (batch, input)."""
    with torch.no_grad():
        parts = [value_gradient_hessian(surrogate, x[rows]) for rows in batches(len(x), box.dimension**2)]
    value, gradient, hessian = (torch.cat(part) for part in zip(*parts, strict=True))
    return labelled(x, value, gradient, hessian, box=box, spec=spec, seed=seed)


def ask(model: bytes, box: Box, features: Tensor, spec: LabelSpec, *, seed: int) -> Dataset:
    """The teacher's labels of the order of the specification. Shape: features (batch, feature)."""
    session, outputs = open_session(model, threads=1), list(OUTPUTS[: spec.order + 1])
    answers: dict[str, list[Array]] = {output: [] for output in outputs}
    for rows in batches(len(features), box.dimension**2):
        for output, answer in zip(outputs, session.run(outputs, {"features": features[rows].numpy()}), strict=True):
            answers[output].append(answer)
    value, *derivatives = (torch.from_numpy(np.concatenate(answers[output])) for output in outputs)
    gradient, hessian = (*derivatives, None, None)[:2]
    return labelled(features, value, gradient, hessian, box=box, spec=spec, seed=seed)


def labelled(
    x: Tensor, value: Tensor, gradient: Tensor | None, hessian: Tensor | None, *, box: Box, spec: LabelSpec, seed: int
) -> Dataset:
    """Labels of the order of the specification.

    Shape: x batch input, value batch, gradient batch input, hessian batch input input.
    """
    if gradient is None or spec.order < 1:
        return Dataset(x=x, y=value)
    if hessian is None or spec.order < 2:
        return Dataset(x=x, y=value, gradient=gradient)
    directions = directions_of(lambda: gradient, box, spec, samples=len(x), seed=seed)
    curvature = torch.einsum("nij,nkj->nki", hessian, directions)
    return Dataset(x=x, y=value, gradient=gradient, directions=directions, curvature=curvature)
