"""A whole job in this process: what the command line, the tests, the benchmarks and a notebook call."""

from __future__ import annotations

from pathlib import Path

from app.pipeline.evaluate import Noted, unnoted
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import JobProgress, done, plan
from app.pipeline.settle import settle
from app.pipeline.steps import run_step
from app.registry.registry import Registry
from app.specification.jobs import JobSpec
from surrogate.artifact import files
from surrogate.artifact.files import Artifact
from surrogate.learning.watching import Heard, unheard


def build(
    spec: JobSpec,
    folder: Path,
    progress: JobProgress | None = None,
    *,
    heard: Heard = unheard,
    noted: Noted = unnoted,
    registry: Path | None = None,
) -> Artifact:
    """Every step but publishing.

    Args:
        spec: what to build, or what to prune.
        folder: where the steps leave their files; created if missing.
        progress: told the running step and the share of the whole that is done.
        heard: told the losses of a training.
        noted: told what the evaluation takes.
        registry: where a PruneJobSpec finds its parent version, and a BuildSpec its dataset.

    Raises:
        any of `app.errors.EXPECTED`: what went wrong, in a sentence.
    """
    if registry is not None:
        spec = settle(spec, Registry(registry))
    job = JobFolder(folder)
    job.begin(order_of(spec, registry=registry))
    steps = plan(spec)[:-1]
    for step in steps:

        def report(share: float, step: str = step) -> None:
            if progress is not None:
                progress(step, done(steps, step, share))

        report(0.0)
        run_step(step, job, report, heard, noted)
        report(1.0)
    return files.read(job.artifact)
