"""What a prune job takes over from the version that it prunes."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from app.datasets.lookup import settle_dataset
from app.pipeline.facts import Parent, PruneOrder
from app.pipeline.folder import JobFolder
from app.pipeline.provenance import origin_of
from app.pipeline.prune import starts_trained
from app.registry.registry import Registry
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Version


def take_parent(folder: JobFolder, _: Progress) -> None:
    """Take over network, specification and chosen ridge; a moving alias is resolved here, once.

    Raises:
        UnknownModel, UnknownVersion: nothing to prune.
        InvalidSpec: what the job asks for does not fit the parent's specification.
    """
    order = folder.order.read()
    assert isinstance(order, PruneOrder)
    assert order.registry is not None
    registry, job = Registry(Path(order.registry)), order.spec
    number = registry.resolve(job.model, job.version)
    published = files.read(registry.folder(job.model, number))
    origin = origin_of(published.manifest.provenance)
    build = replace(origin.build, seed=job.seed, pruning=job.pruning, labels=job.labels or origin.build.labels)
    folder.trained.write(published.model)
    if starts_trained(job.pruning) and published.report.ridge is not None:
        folder.ridge.write(published.report.ridge)
    folder.parent.write(
        Parent(
            build=settle_dataset(build, registry.root),
            simulated_paths=origin.simulated_paths,
            parent=Version(model=job.model, version=number),
        )
    )
