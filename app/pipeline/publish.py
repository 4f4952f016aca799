"""The step that makes the result a version."""

from __future__ import annotations

from pathlib import Path

from app.pipeline.folder import JobFolder
from app.registry.registry import Registry
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Version
from surrogate.report.record import known


def publish(folder: JobFolder, _: Progress) -> Version:
    """Publish the artifact as the next version of its name; the same job publishes once."""
    order, name = folder.order.read(), folder.build().name
    assert order.registry is not None
    assert order.job is not None
    registry = Registry(Path(order.registry))
    made, whose = files.read(folder.artifact), known(order.submitter)
    return Version(model=name, version=registry.publish(name, made, job_id=order.job, submitter=whose))
