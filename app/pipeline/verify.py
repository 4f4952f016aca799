"""A version made again from its provenance, and what is different: bytes, the step that diverged, outputs, environment.

Only what makes the bytes is run: labels, training and pruning, and the graph is written from what is left. A step's
result is compared with what the version says of it, so that the first that differs is named:

- specification: what the version was built by reads as something else in this release;
- labels: their file has another hash;
- training: the network that was pruned is another, or, where nothing was pruned, the weights in the graph are;
- pruning: the weights in the graph are others, after the same training;
- export: the weights are the same and the graph's bytes are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import UnsetType
from msgspec.structs import replace

from app.errors import InvalidRequest, UnknownDataset, UnknownModel, UnknownVersion
from app.pipeline.apart import differences, environment_apart, sha256, unlike, weights
from app.pipeline.derived import as_learnt, reduction_of
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import JobProgress, done, makes
from app.pipeline.provenance import origin_of, told, trained_sha256
from app.pipeline.steps import run_step
from app.pipeline.tensors import read_final
from app.pipeline.verification import Pair, Step, Verification
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from surrogate.artifact import files
from surrogate.artifact.files import MODEL, MODEL_FLOAT32, Artifact
from surrogate.artifact.make import graphs, spec_sha256
from surrogate.artifact.manifest import Manifest, Version
from surrogate.export.onnx_reader import read_surrogate
from surrogate.functions.surrogate import Surrogate
from surrogate.learning.watching import Heard, unheard
from surrogate.report.record import known
from surrogate.report.report import LabelFacts
from surrogate.report.sources import ImportedLabels, TaughtLabels

# What says that something is gone, or not understood by this release.
MISSING = (UnknownModel, UnknownVersion, UnknownDataset, InvalidRequest, InvalidSpec)


def verify(
    version: Version, folder: Path, registry: Registry, progress: JobProgress, heard: Heard = unheard
) -> Verification:
    """Make a version again in a folder, and compare.

    Args:
        progress: told the running step and the share of the whole that is done.
        heard: told the losses of a training.

    Raises:
        InvalidRequest: it cannot be made again here: parent, dataset or teacher are gone, or this release does not
            understand its specification.
        CorruptArtifact: its own files are damaged.
    """
    published = files.read(registry.folder(version.model, version.version))
    with buildable(f"{version.model}@{version.version}"):
        job = rebuild(published, folder, registry, progress, heard)
    build, said = job.build(), origin_of(published.manifest.provenance).build
    plain = told(replace(build, control=said.control), job.label_facts.read())
    final, spec, name = read_final(job), spec_sha256(plain), published.manifest.name
    float32 = build.export.float32 and known(published.manifest.float32_unfit) is None
    reduction = reduction_of(build)
    made = graphs(final, name=name, box=build.box, spec=spec, float32=float32, reduction=reduction)
    then = {MODEL: published.model}
    if published.model_float32 is not None:
        then[MODEL_FLOAT32] = published.model_float32
    same = then == made
    labels = Pair(then=known(published.manifest.provenance.data_sha256), now=sha256(job.labels.read()))
    return Verification(
        model=version.model,
        version=version.version,
        same=same,
        diverged=None if same else diverged(published, job, final, labels, spec),
        bytes={file: Pair(then=sha256(then.get(file)), now=sha256(made.get(file))) for file in sorted({*then, *made})},
        labels=labels,
        differences={} if same else differences(published.model, made[MODEL], build.box),
        environment=environment_apart(published.environment, published.manifest.provenance),
        notes=tuple(notes(published, job, registry)),
    )


@contextmanager
def buildable(reference: str) -> Iterator[None]:
    """Raise InvalidRequest, with the reason, in place of what says that something is gone or not understood."""
    try:
        yield
    except MISSING as error:
        raise InvalidRequest(f"{reference} cannot be made again here: {error}") from error


def rebuild(published: Artifact, folder: Path, registry: Registry, progress: JobProgress, heard: Heard) -> JobFolder:
    """The steps that make a network, by the specification that the version was built by."""
    job = JobFolder(folder)
    spec = order(published.manifest, registry)
    job.begin(order_of(spec, registry=registry.root))
    steps = makes(spec)  # of a build by the choices that its provenance has, whoever has made them
    for step in steps:
        run_step(step, job, _part(progress, steps, step), heard)
        if step == "load":  # aliases that it names may stand elsewhere now
            job.parent.write(replace(job.parent.read(), build=build_of(published.manifest)))
    return job


def _part(progress: JobProgress, steps: tuple[str, ...], step: str) -> Callable[[float], None]:
    progress(step, done(steps, step, 0.0))
    return lambda share: progress(step, done(steps, step, share))


def build_of(published: Manifest) -> BuildSpec:
    """The specification that a version was built by, and what it was learnt beside."""
    return as_learnt(origin_of(published.provenance).build, published)


def order(published: Manifest, registry: Registry) -> JobSpec:
    """What was ordered, as far as the manifest tells it: that by which the same steps run."""
    build, provenance = build_of(published), published.provenance
    parent, retraining = known(provenance.parent), known(provenance.retraining)
    if parent is None:
        return build
    if retraining is not None:
        start = "weights" if retraining.start == "weights" else "scratch"
        return load(
            RetrainJobSpec,
            {"model": parent.model, "version": parent.version, "changes": retraining.changes, "start": start},
        )
    before = build_of(files.load_manifest(registry.folder(parent.model, parent.version)))
    assert build.pruning is not None
    other = build.dataset is not None and build.dataset != before.dataset
    return PruneJobSpec(
        model=parent.model,
        version=parent.version,
        pruning=build.pruning,
        seed=build.seed,
        dataset=build.dataset if other else None,
        labels=build.labels if not other and build.labels != before.labels else None,
    )


def diverged(published: Artifact, job: JobFolder, final: Surrogate, data: Pair, spec: str) -> Step:
    """The first step whose result is another; the bytes are."""
    provenance = published.manifest.provenance
    if weights(read_surrogate(published.model)) == weights(final):
        written = known(published.manifest.hashes) or {}
        return "specification" if written.get("spec", spec) != spec else "export"
    if data.then is not None and data.then != data.now:
        return "labels"
    if not job.pruned.path.exists():
        return "training"
    then, now = known(provenance.trained_sha256), known(trained_sha256(job))
    if now is None:  # the method prunes what training starts from
        return "pruning"
    if then is None:
        return "training or pruning"
    return "pruning" if then == now else "training"


def notes(published: Artifact, job: JobFolder, registry: Registry) -> Iterator[str]:
    """What could not be compared, and a teacher that is another."""
    if published.environment is None:
        yield "the version is from before the environment was kept: only the versions of libraries are compared"
    if known(published.manifest.provenance.data_sha256) is None:
        yield "the version does not say what its labels were: a difference in them counts as one of the training"
    then, now = teacher_of(published.report.labels), teacher_of(job.label_facts.read())
    if then is not None and now is not None and then.sha256 != now.sha256:
        yield f"{then.teacher} in {registry.root} is another model than the one that taught this version"
    plain = json.loads(files.to_json(told(job.build(), job.label_facts.read())))
    if paths := list(unlike(published.manifest.provenance.build, plain)):
        yield f"this release reads the specification otherwise: {', '.join(paths)}"


def teacher_of(labels: LabelFacts | UnsetType) -> TaughtLabels | None:
    """Whose answers labels are, where they are a model's."""
    taught = labels.taught if isinstance(labels, ImportedLabels) else labels
    return taught if isinstance(taught, TaughtLabels) else None
