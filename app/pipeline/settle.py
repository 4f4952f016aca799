"""A job as it can be run: what it names is looked up before it is queued. Torch-free."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from app.datasets.lookup import settle_dataset
from app.pipeline.provenance import read_origin
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec, ParentJobSpec
from app.specification.name import split_reference
from app.specification.possible import require_possible
from app.specification.prune_job import PruneJobSpec
from app.specification.requirements import pruning_orders, within
from app.specification.retrain_job import RetrainJobSpec
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.problem import PricingProblem, unlike
from pruning.counting.targets import Shape, dense
from pruning.counting.traits import TRAITS
from surrogate.artifact.files import load_manifest
from surrogate.artifact.manifest import Manifest


def settle(spec: JobSpec, registry: Registry) -> JobSpec:
    """The job with the Box of its dataset in it; that its version is there and its changes fit is checked.

    Raises:
        UnknownModel, UnknownVersion, UnknownDataset: what the job names is not there.
        InvalidSpec: it does not fit the rest of the specification.
    """
    match spec:
        case BuildSpec():
            settled = settle_dataset(spec, registry.root, spec.orders)
            require_teaching(settled, registry)
            require_possible(settled)
            return settled
        case PruneJobSpec():
            changed = spec.changed(parent_build(spec.model, spec.version, registry))
            settled = settle_dataset(changed, registry.root, orders_of(spec, changed))
            require_teaching(settled, registry)
            require_possible(settled, shape_given(spec, registry))
        case RetrainJobSpec():
            changed = spec.changed(parent_build(spec.model, spec.version, registry))
            with within("changes"):
                settled = settle_dataset(changed, registry.root, changed.orders)
                require_teaching(settled, registry)
                require_possible(settled)
        case _:
            assert_never(spec)
    return spec


def shape_given(spec: PruneJobSpec, registry: Registry) -> Shape | None:
    """What a prune job takes up, as far as its manifest tells; None where its method draws a network anew."""
    if TRAITS[spec.pruning.method].phase != "after":
        return None
    network = load_manifest(registry.folder(spec.model, registry.resolve(spec.model, spec.version))).network
    whole = dense(network.widths or ())
    if network.linear or network.parameters < whole.present:
        # Which weights are there only the graph tells, and what is not factored: one a layer is sure.
        return replace(whole, least_factored=len(whole.widths) - 1, present=network.parameters)
    return whole


def orders_of(spec: ParentJobSpec, changed: BuildSpec) -> tuple[tuple[str, int], ...]:
    """How many derivatives of the labels a job needs, by the field that says so: pruning trains as it is fine-tuned."""
    return pruning_orders(spec.pruning) if isinstance(spec, PruneJobSpec) else changed.orders


def parent_build(model: str, version: int | str, registry: Registry) -> BuildSpec:
    """The specification of a published version."""
    return read_origin(registry.folder(model, registry.resolve(model, version))).build


def require_teaching(build: BuildSpec, registry: Registry) -> None:
    """Raise UnknownModel, UnknownVersion or InvalidSpec for a teacher that is not there or does not fit."""
    if build.labels.teacher is not None:
        name, version = split_reference(build.labels.teacher)
        number = registry.resolve(name, version)
        require_teacher(build, load_manifest(registry.folder(name, number)), f"{name}@{number}")


def require_teacher(build: BuildSpec, teacher: Manifest, name: str) -> None:
    """Raise InvalidSpec unless the teacher prices the same, by the same features, on all of the Box."""
    box, known = build.box, Box(features=tuple(teacher.features))
    if known.labels != box.labels:
        raise InvalidSpec(
            f"labels.model: the features are {', '.join(box.labels)} and those of {name} {', '.join(known.labels)}; "
            "give a model of the same",
            path="labels.model",
        )
    priced = problem_of(teacher)
    if build.problem is not None and priced is not None and (field := unlike(build.problem, priced)) is not None:
        raise InvalidSpec(
            f"labels.model: {name} prices something else, {field} differs; give a model of the same, or simulate",
            path="labels.model",
        )
    for i, label in enumerate(box.labels):
        if box.lower[i] < known.lower[i] or box.upper[i] > known.upper[i]:
            raise InvalidSpec(
                f"labels.model: {label} is {float(box.lower[i])!r} to {float(box.upper[i])!r} here and "
                f"{float(known.lower[i])!r} to {float(known.upper[i])!r} in {name}, which says nothing of the rest; "
                "narrow the Box or simulate the labels",
                path="labels.model",
                bound=[float(known.lower[i]), float(known.upper[i])],
            )


def problem_of(manifest: Manifest) -> PricingProblem | None:
    """What a version prices; None where nobody here knows."""
    plain = manifest.provenance.build.get("problem")
    return None if plain is None else load(PricingProblem, plain)
