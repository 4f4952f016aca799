"""The step that makes the result a version."""

from __future__ import annotations

from pathlib import Path

from app.pipeline.folder import JobFolder
from app.registry.registry import Registry
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Version


def publish(folder: JobFolder, _: Progress) -> Version:
    """Publish the artifact as the next version of its name; the same job publishes once."""
    order, name = folder.order.read(), folder.build().name
    assert order.registry is not None
    assert order.job is not None
    registry = Registry(Path(order.registry))
    return Version(model=name, version=registry.publish(name, files.read(folder.artifact), job_id=order.job))
