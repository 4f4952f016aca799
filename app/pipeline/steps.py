"""The paper as a pipeline: label -> train -> prune and fine-tune -> certify -> evaluate -> export -> publish.

A step is a function of a job's folder: it reads the files of earlier steps and leaves its own, all or nothing, so that
running it again after a crash does no harm. The same order in a folder gives the same bytes: every random number comes
from the specification's seed, and nothing depends on the clock.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from msgspec.structs import replace
from torch import Tensor

from app.datasets.lookup import settle_dataset
from app.files import read_json, replacing, write_json
from app.pipeline import imported_labels
from app.pipeline.plan import JobProgress, done, order, place, plan, read_order
from app.pipeline.provenance import provenance
from app.pipeline.variation import require_variation
from app.registry.registry import Registry
from app.specification.build import BuildSpec, PruneJobSpec, flow_pruning
from app.specification.jobs import JobSpec
from pricing.domain import Box
from pricing.draws import stream
from pricing.estimators.contribute import bias
from pricing.exercise.bounds import report as bounds_report
from pricing.labels import Labels, make_labels
from pricing.labels import save as save_labels
from pricing.references import reference as references
from pricing.sampling import sample_features, sample_inside
from pricing.specs.base import dump, load
from pricing.specs.fit import settle
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import MoneynessSampler, TableSampler
from pricing.specs.states import states_sha256
from pricing.types import Progress
from pruning.budget import budgets
from pruning.certificate import ARITHMETIC
from pruning.certificate import certify as bound_difference
from pruning.compact import compact
from pruning.intervals.interval import interval_of
from pruning.methods import METHODS
from pruning.prune import prune as prune_network
from pruning.shape import prove_shape
from pruning.sparse_flow import learn_states
from surrogate.artifact import files
from surrogate.artifact.files import Artifact
from surrogate.artifact.make import make_artifact
from surrogate.artifact.manifest import Certificate
from surrogate.dataset import Dataset
from surrogate.evaluation.evaluate import evaluate as evaluate_network
from surrogate.export.onnx_reader import read_network, read_surrogate
from surrogate.export.onnx_writer import to_onnx
from surrogate.flows.flow import transport
from surrogate.functions.network import Network, initialise
from surrogate.functions.surrogate import Surrogate
from surrogate.learning.polynomial import fit_polynomial
from surrogate.learning.training import draw, fit
from surrogate.reductions.choice import reduce
from surrogate.reductions.reduction import Reduction, to_canonical, to_network
from surrogate.report.report import AnyReport, plain_report, read_report

# Share of the label step that a flow takes to learn a table, where there is one: a minute beside simulated labels.
FLOW_SHARE = 0.5
# What the certificate of a polynomial says instead of statements about the shape.
NO_SHAPE = "shapes are proven of networks by bounds on their activations; a polynomial is judged at points alone"

Step = Callable[[Path, Progress], Any]


def load_parent(folder: Path, _: Progress) -> None:
    """Take over a published version's network and specification; a moving alias is resolved here, once."""
    given = read_order(folder)
    job = load(PruneJobSpec, given.spec)
    assert given.registry is not None
    registry = Registry(Path(given.registry))
    number = registry.resolve(job.model, job.version)
    parent = files.read(registry.folder(job.model, number))
    origin = parent.manifest.provenance
    build = load(BuildSpec, origin.build)
    build = settle_dataset(
        replace(build, seed=job.seed, pruning=job.pruning, labels=job.labels or build.labels), registry.root
    )
    with replacing(folder / "trained.onnx") as partial:
        partial.write_bytes(parent.model)
    write_json(
        folder / "parent.json",
        {
            "build": dump(build),
            "simulated_paths": origin.simulated_paths,
            "parent": {"model": job.model, "version": number},
        },
    )


def label(folder: Path, progress: Progress) -> None:
    """Simulate features with labels, or take those of a dataset, if what is to become of them is possible."""
    build = read_build(folder)
    if build.polynomial is not None:
        build.polynomial.require_size(input_box(build).dimension)
    if build.pruning is not None:
        budgets(to_be_pruned(folder, build), build.pruning, METHODS[build.pruning.method])
    if build.dataset is not None:
        imported_labels.take_labels(folder, build)
        return
    references.kind(build.pricing)  # what nothing can judge is refused before it is simulated
    features, table, progress = draw_features(build, progress)
    simulated = canonical(build)
    wanted = build.labels if build.polynomial is None else replace(build.labels, order=build.polynomial.order)
    labels = make_labels(simulated, features, wanted, seed=build.seed, progress=progress)
    require_variation(build.pricing, labels.value)
    with replacing(folder / "labels.npz") as partial:
        save_labels(labels, partial)
    estimator = settle(simulated, build.labels.estimator)
    facts = {
        "simulated_paths": labels.paths,
        "payoff_evaluations": labels.payoffs,
        "standard_error": label_error(labels),
        "estimator": dump(estimator),
        "bias": bias(simulated, estimator),
    }
    write_json(folder / "labels.json", facts | table)


def to_be_pruned(folder: Path, build: BuildSpec) -> Network:
    """The parent's network, or one of the shape that is going to be trained."""
    if read_order(folder).kind == "prune":
        return read_network((folder / "trained.onnx").read_bytes())
    widths = (input_box(build).dimension, *build.network.hidden, 1)
    return initialise(widths, build.network.activation, generator=generator("shape", seed=build.seed))


def draw_features(build: BuildSpec, progress: Progress) -> tuple[Tensor, dict[str, Any], Progress]:
    """The features to label, what a table sampler has to say of them, and who is told the progress of the labels."""
    sampler, reduction = build.labels.sampler, reduction_of(build)
    if isinstance(sampler, MoneynessSampler):
        return sample_features(canonical(build), build.labels, seed=build.seed), {}, progress
    if not isinstance(sampler, TableSampler):
        found = sample_features(build.pricing, build.labels, seed=build.seed)
        return found if reduction is None else to_canonical(reduction, found), {}, progress
    flow = learn_states(
        torch.tensor(sampler.states, dtype=torch.float64),
        sampler.flow,
        flow_pruning(sampler.flow),
        generator=generator("flow", seed=build.seed),
        progress=lambda done: progress(FLOW_SHARE * done),
    )
    inside = sample_inside(build.box, lambda normals: transport(flow, normals), build.labels.samples, seed=build.seed)
    facts = {"states": len(sampler.states), "inside": inside.share, "states_sha256": states_sha256(sampler.states)}
    features = inside.features if reduction is None else to_canonical(reduction, inside.features)
    return features, {"table": facts}, lambda done: progress(FLOW_SHARE + (1.0 - FLOW_SHARE) * done)


def train(folder: Path, progress: Progress) -> None:
    """Fit a randomly initialised network to the labels; only draw it if it is pruned before or while it is trained.

    A polynomial is solved for.
    """
    build = read_build(folder)
    data = training_data(folder, build)
    network: Surrogate
    axes = None
    if build.polynomial is not None:
        found = fit_polynomial(data, build.polynomial)
        network, axes = found.surrogate, found.axes
        write_json(folder / "ridge.json", {"ridge": found.relative_ridge})
    elif build.pruning is not None and METHODS[build.pruning.method].phase != "after":
        network = initial(build, data)
    else:
        seeded = generator("training", seed=build.seed)
        training = imported_labels.braked(folder, build, build.training)
        trained = fit(data, build.network, training, generator=seeded, progress=progress)
        network, axes = trained.network, trained.axes
        imported_labels.keep_choice(folder, trained.choice)
    if axes is not None:
        write_json(folder / "axes.json", dump(axes.facts))
    write_network(folder / "trained.onnx", network, build)


def prune(folder: Path, progress: Progress) -> None:
    """Prune the network and fine-tune what is left; what was only drawn is trained now, as the network would be."""
    build = read_build(folder)
    spec, data = build.pruning, training_data(folder, build)
    assert spec is not None
    if METHODS[spec.method].phase == "before" and spec.fine_tuning is None and read_order(folder).kind == "train":
        spec = replace(spec, fine_tuning=build.training)
    if spec.fine_tuning is not None:
        spec = replace(spec, fine_tuning=imported_labels.braked(folder, build, spec.fine_tuning))
    pruned = prune_network(
        read_network((folder / "trained.onnx").read_bytes()),
        data,
        spec,
        box=input_box(build),
        start=initial(build, data) if spec.retraining == "rewind" else None,
        generator=generator("pruning", seed=build.seed),
        progress=progress,
    )
    write_json(folder / "pruning.json", pruned.report)
    # What a bound is proven for is exported as it is; a node method leaves nothing dead anyway.
    network = pruned.network if pruned.report["bound"] is not None else compact(pruned.network)
    write_network(folder / "pruned.onnx", network, build)


def certify(folder: Path, progress: Progress) -> None:
    """Prove what can be proven of the exported weights: the shape, and how far pruning moved what it was given."""
    build, network = read_build(folder), final_network(folder)
    shape, reason = None, NO_SHAPE if build.polynomial is not None else imported_labels.NO_SHAPE
    if build.problem is not None and isinstance(network, Network):
        shape = prove_shape(network, canonical(build), tolerance=build.evaluation.tolerance, seed=build.seed)
    progress(0.5)
    pruning = None
    trained = read_order(folder).kind == "prune"
    if build.pruning is not None and (trained or METHODS[build.pruning.method].phase == "after"):
        dense = read_network((folder / "trained.onnx").read_bytes())
        assert isinstance(network, Network)
        pruning = bound_difference(dense, network, interval_of(input_box(build)))
    found = {"shape": shape, "pruning": pruning, "arithmetic": ARITHMETIC}
    write_json(folder / "certificate.json", found if shape is not None else found | {"no_shape": reason})


def evaluate(folder: Path, _: Progress) -> None:
    """Measure the network against an independent reference, or against the rows that a dataset held out."""
    build, network = read_build(folder), final_network(folder)
    labels = read_json(folder / "labels.json")
    report: AnyReport
    if build.problem is None:
        report = imported_labels.judge_held_out(folder, network)
    else:
        label_error = labels["standard_error"]
        report = evaluate_network(
            network,
            build.problem,
            build.evaluation,
            seed=build.seed,
            label_error=label_error,
            reduction=reduction_of(build),
        )
    pruning = read_json(folder / "pruning.json") if build.pruning is not None else None
    axes = read_json(folder / "axes.json") if (folder / "axes.json").exists() else None
    facts = {"labels": labels, "pruning": pruning, "axes": axes, **imported_labels.found_ridge(folder)}
    if build.problem is not None and isinstance(build.problem.payoff, Bermudan):
        facts["bounds"] = bounds_report(build.problem, build.labels.estimator, seed=build.seed)
    write_json(folder / "report.json", {**plain_report(report), **facts})


def export(folder: Path, _: Progress) -> None:
    """Write the ONNX graph, check it against the network, and describe it."""
    build = read_build(folder)
    made = make_artifact(
        final_network(folder),
        name=build.name,
        problem=build.problem or build.box,
        report=read_report(read_json(folder / "report.json")),
        certificate=load(Certificate, read_json(folder / "certificate.json")),
        provenance=provenance(folder, build),
        float32=build.export.float32,
        reduction=reduction_of(build),
    )
    finished, partial = folder / "artifact", Path(mkdtemp(dir=folder))
    files.write(made, partial)
    shutil.rmtree(finished, ignore_errors=True)
    partial.rename(finished)


def publish(folder: Path, _: Progress) -> dict[str, Any]:
    """Publish the artifact as the next version of its name; the same job publishes once."""
    given, name = read_order(folder), read_build(folder).name
    assert given.registry is not None
    assert given.job is not None
    registry = Registry(Path(given.registry))
    return {"model": name, "version": registry.publish(name, files.read(folder / "artifact"), job_id=given.job)}


STEPS: Mapping[str, Step] = {
    "load": load_parent,
    "label": label,
    "train": train,
    "prune": prune,
    "certify": certify,
    "evaluate": evaluate,
    "export": export,
    "publish": publish,
}


def run_step(step: str, folder: Path, progress: Progress) -> Any:
    """Run one step in a folder that holds an order and the files of the earlier steps."""
    return STEPS[step](folder, progress)


def build(
    spec: JobSpec, folder: Path, progress: JobProgress | None = None, *, registry: Path | None = None
) -> Artifact:
    """Every step but publishing, in this process.

    Args:
        spec: what to build, or what to prune.
        folder: where the steps leave their files; created if missing.
        progress: told the running step and the share of the whole that is done.
        registry: where a PruneJobSpec finds its parent version.

    Raises:
        any of `app.errors.EXPECTED`: what went wrong, in a sentence.
    """
    if registry is not None:
        spec = settle_dataset(spec, registry)
    place(order(spec, registry=registry), folder)
    steps = plan(spec)[:-1]
    for step in steps:

        def report(share: float, step: str = step) -> None:
            if progress is not None:
                progress(step, done(steps, step, share))

        report(0.0)
        run_step(step, folder, report)
        report(1.0)
    return files.read(folder / "artifact")


def read_build(folder: Path) -> BuildSpec:
    """The specification that the steps follow: the order's own, or the parent's with what a prune order changes."""
    given = read_order(folder)
    if given.kind == "prune":
        return load(BuildSpec, read_json(folder / "parent.json")["build"])
    return load(BuildSpec, given.spec)


def write_network(path: Path, network: Surrogate, build: BuildSpec) -> None:
    """A network between two steps; ONNX holds its float64 numbers exactly."""
    with replacing(path) as partial:
        partial.write_bytes(to_onnx(network, box=input_box(build), metadata={}))


def reduction_of(build: BuildSpec) -> Reduction | None:
    """The exact scaling of what is priced; None where there is none, or nobody knows what is priced."""
    return None if build.problem is None else reduce(build.problem)


def canonical(build: BuildSpec) -> PricingProblem:
    """The problem that is simulated: the one that is priced, or what exact scaling leaves of it."""
    reduction = reduction_of(build)
    return build.pricing if reduction is None else reduction.canonical


def input_box(build: BuildSpec) -> Box:
    """The domain of the network's inputs."""
    reduction = reduction_of(build)
    return build.box if reduction is None else reduction.box


def training_data(folder: Path, build: BuildSpec) -> Dataset:
    """What the network learns from, in its own inputs."""
    data, reduction = imported_labels.training_data(folder, build), reduction_of(build)
    return data if reduction is None else to_network(reduction, data)


def final_network(folder: Path) -> Surrogate:
    """The pruned network, or what was trained where nothing is pruned."""
    pruned = folder / "pruned.onnx"
    return read_surrogate((pruned if pruned.exists() else folder / "trained.onnx").read_bytes())


def initial(build: BuildSpec, data: Dataset) -> Network:
    """The random network that training starts from."""
    return draw(data, build.network, generator=generator("training", seed=build.seed))


def generator(name: str, *, seed: int) -> torch.Generator:
    """The torch generator of one named use."""
    return torch.Generator().manual_seed(int(stream(name, seed=seed).integers(1 << 63)))


def label_error(labels: Labels) -> dict[str, float]:
    """Root mean square standard error of each kind of label: the noise floor of everything learnt from them."""
    errors = {"value": labels.value_error, "delta": labels.gradient_error, "curvature": labels.curvature_error}
    return {name: float(error.square().mean().sqrt()) for name, error in errors.items() if error is not None}
