"""The step that makes the result a version, if it is as good as it has to be."""

from __future__ import annotations

from pathlib import Path

from app.errors import NotPublished
from app.pipeline.folder import JobFolder
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from pricing.types import Progress
from surrogate.artifact import files
from surrogate.artifact.manifest import Manifest, Version
from surrogate.report.record import known

# Shortfalls that a sentence tells.
TOLD = 2


def publish(folder: JobFolder, _: Progress) -> Version:
    """Publish the artifact as the next version of its name; the same job publishes once.

    Raises:
        NotPublished: it misses what is required of it.
    """
    order, name = folder.order.read(), folder.build().name
    assert order.registry is not None
    assert order.job is not None
    artifact = files.read(folder.artifact)
    require_met(order.spec, artifact.manifest, f"its report is at /v1/jobs/{order.job}/report")
    registry = Registry(Path(order.registry))
    whose = known(order.submitter)
    return Version(model=name, version=registry.publish(name, artifact, job_id=order.job, submitter=whose))


def require_met(spec: JobSpec, manifest: Manifest, kept: str) -> None:
    """Refuse to publish what misses its requirement, unless that was asked for.

    Who prunes gives up accuracy for size on purpose: what comes out is published, and marked.

    Args:
        kept: where the report is.

    Raises:
        NotPublished: says what is missed, the worst first, and what helps.
    """
    gate = known(manifest.gate)
    if gate is None or gate.met or isinstance(spec, PruneJobSpec) or manifest.provenance.build.get("publish_anyway"):
        return
    more = f"; and {len(gate.missed) - TOLD} more" if len(gate.missed) > TOLD else ""
    further = ' (accuracy = "high" gives the rounds more time)' if isinstance(spec, BuildSpec) and spec.chooses else ""
    raise NotPublished(
        f"not published: {'; '.join(gate.missed[:TOLD])}{more}. Change that{further}, lower `accuracy`, or "
        f"publish_anyway; {kept}",
        path="accuracy",
        missed=list(gate.missed),
    )
