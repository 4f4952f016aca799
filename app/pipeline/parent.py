"""What a prune or retrain job takes over from a published version."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

import numpy as np
from msgspec.structs import asdict, replace

from app.datasets.lookup import settle_dataset
from app.pipeline.derived import as_learnt, input_box
from app.pipeline.facts import Parent, TrainOrder
from app.pipeline.folder import JobFolder
from app.pipeline.provenance import origin_of
from app.pipeline.prune import starts_trained
from app.pipeline.settle import orders_of
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Manifest, Retraining, Version
from surrogate.report.sources import TaughtLabels

# Bounds of inputs that differ by no more, or by no more than this share, differ by the processor that computed them.
SAME_BOUNDS = 1e-6


def take_parent(folder: JobFolder, _: Progress) -> None:
    """Take over network, specification and chosen ridge; a moving alias is resolved here, once.

    Raises:
        UnknownModel, UnknownVersion: nothing to take over.
        InvalidSpec: what the job asks for does not fit the parent's specification.
    """
    order = folder.order.read()
    assert not isinstance(order, TrainOrder)
    assert order.registry is not None
    registry, job = Registry(Path(order.registry)), order.spec
    number = registry.resolve(job.model, job.version)
    published = files.read(registry.folder(job.model, number))
    origin = origin_of(published.manifest.provenance)
    origin = replace(origin, build=as_learnt(origin.build, published.manifest))
    match job:
        case PruneJobSpec():
            build, retraining = job.changed(origin.build), None
            folder.trained.write(published.model)
            continues = starts_trained(job.pruning)
            if continues and not scaled_alike(published.manifest, origin.build):
                raise InvalidSpec(
                    f"model: {job.model}@{number} was learnt before what is priced scaled as it does today, and its "
                    "network means something else; build it again",
                    path="model",
                )
        case RetrainJobSpec():
            build = job.changed(origin.build)
            retraining = how_to_start(job, origin.build, build)
            if retraining.start == "weights" and not scaled_alike(published.manifest, origin.build):
                retraining = replace(retraining, start="scratch", reason="it was learnt by another exact scaling")
            continues = retraining.start == "weights"
            if continues:
                folder.start.write(published.model)
        case _:
            assert_never(job)
    if continues and published.report.ridge is not None:
        folder.ridge.write(published.report.ridge)
    folder.parent.write(
        Parent(
            build=settle_dataset(build, registry.root, orders_of(job, build)),
            simulated_paths=0 if retraining is not None and not continues else origin.simulated_paths,
            parent=Version(model=job.model, version=number),
            inputs=None if retraining is None else input_box(origin.build),
            retraining=retraining,
            teacher=published.report.labels.teacher if isinstance(published.report.labels, TaughtLabels) else None,
        )
    )


def scaled_alike(published: Manifest, build: BuildSpec) -> bool:
    """Whether a version's network sees what a build of its specification sees today: inputs of the same bounds."""
    seen, today = published.features if published.reduction is None else published.reduction.inputs, input_box(build)
    learnt = Box(features=tuple(Feature(**asdict(feature)) for feature in seen))
    return learnt.labels == today.labels and all(
        np.allclose(mine, others, rtol=SAME_BOUNDS, atol=SAME_BOUNDS)
        for mine, others in ((learnt.lower, today.lower), (learnt.upper, today.upper))
    )


def how_to_start(job: RetrainJobSpec, before: BuildSpec, after: BuildSpec) -> Retraining:
    """From the weights of the version where what is learnt has the same inputs and shape, else why not."""
    reason = None if job.start == "weights" else "it was asked for"
    if after.polynomial is not None:
        reason = "a polynomial is solved at once"
    elif before.polynomial is not None:
        reason = "a network takes the place of a polynomial"
    elif after.network != before.network or after.pruning != before.pruning:
        reason = "network or pruning is another"
    elif after.control != before.control:
        reason = "one has learnt the value and the other its difference to a closed form"
    elif inputs(after) != inputs(before):
        reason = f"the inputs are {inputs(after)} and were {inputs(before)}"
    return Retraining(changes=job.changes, start="weights" if reason is None else "scratch", reason=reason)


def inputs(build: BuildSpec) -> str:
    """Names and sizes of what is learnt from."""
    return ", ".join(f"{feature.name} ({feature.size})" for feature in input_box(build).features)
