"""The paper as a pipeline: label -> train -> prune and fine-tune -> evaluate -> export -> publish.

A step is a function of a job's folder: it reads the files of earlier steps and leaves its own, all or nothing, so that
running it again after a crash does no harm. The same order in a folder gives the same bytes: every random number comes
from the specification's seed, and nothing depends on the clock.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from msgspec.structs import replace

from app.plan import JobProgress, JobSpec, done, order, place, plan, read_json, read_order, replacing, write_json
from app.registry import Registry
from app.spec import BuildSpec, PruneJobSpec
from pricing.draws import stream
from pricing.labels import Labels, make_labels
from pricing.labels import load as load_labels
from pricing.labels import save as save_labels
from pricing.sampling import sample_features
from pricing.smoothing import stated_bias
from pricing.spec import dump, load
from pricing.types import Progress
from pruning.prune import prune as prune_network
from surrogate import artifact
from surrogate.artifact import Artifact
from surrogate.dataset import from_labels
from surrogate.evaluation import evaluate as evaluate_network
from surrogate.export import read_network, to_onnx
from surrogate.manifest import make_artifact
from surrogate.network import Network
from surrogate.training import fit

# Distributions whose version can change the numbers.
LIBRARIES = ("sobolite", "torch", "numpy", "scipy", "onnx")

Step = Callable[[Path, Progress], Any]


def load_parent(folder: Path, _: Progress) -> None:
    """Take over a published version's network and specification; a moving alias is resolved here, once."""
    given = read_order(folder)
    job = load(PruneJobSpec, given.spec)
    assert given.registry is not None
    registry = Registry(Path(given.registry))
    number = registry.resolve(job.model, job.version)
    parent = artifact.read(registry.folder(job.model, number))
    origin = parent.manifest["provenance"]
    build = load(BuildSpec, origin["build"])
    build = replace(build, seed=job.seed, pruning=job.pruning, labels=job.labels or build.labels)
    with replacing(folder / "trained.onnx") as partial:
        partial.write_bytes(parent.model)
    write_json(
        folder / "parent.json",
        {
            "build": dump(build),
            "simulated_paths": origin["simulated_paths"],
            "parent": {"model": job.model, "version": number},
        },
    )


def label(folder: Path, progress: Progress) -> None:
    """Simulate features with value, delta and curvature labels."""
    build = read_build(folder)
    features = sample_features(build.problem, build.labels, seed=build.seed)
    labels = make_labels(build.problem, features, build.labels, seed=build.seed, progress=progress)
    with replacing(folder / "labels.npz") as partial:
        save_labels(labels, partial)
    facts = {
        "simulated_paths": labels.paths,
        "payoff_evaluations": labels.payoffs,
        "standard_error": label_error(labels),
        "bias": stated_bias(build.labels.estimator),
    }
    write_json(folder / "labels.json", facts)


def train(folder: Path, progress: Progress) -> None:
    """Fit a randomly initialised network to the labels."""
    build = read_build(folder)
    data = from_labels(load_labels(folder / "labels.npz"))
    trained = fit(
        data, build.network, build.training, generator=generator("training", seed=build.seed), progress=progress
    )
    write_network(folder / "trained.onnx", trained.network, build)


def prune(folder: Path, progress: Progress) -> None:
    """Prune the network and fine-tune what is left."""
    build = read_build(folder)
    assert build.pruning is not None
    pruned = prune_network(
        read_network((folder / "trained.onnx").read_bytes()),
        from_labels(load_labels(folder / "labels.npz")),
        build.pruning,
        box=build.problem.box,
        generator=generator("pruning", seed=build.seed),
        progress=progress,
    )
    write_json(folder / "pruning.json", pruned.report)
    write_network(folder / "pruned.onnx", pruned.network, build)


def evaluate(folder: Path, _: Progress) -> None:
    """Measure the network against an independent reference."""
    build = read_build(folder)
    labels = read_json(folder / "labels.json")
    report = evaluate_network(
        final_network(folder),
        build.problem,
        build.evaluation,
        seed=build.seed,
        label_error=labels["standard_error"],
    )
    pruning = read_json(folder / "pruning.json") if build.pruning is not None else None
    write_json(folder / "report.json", {**report, "labels": labels, "pruning": pruning})


def export(folder: Path, _: Progress) -> None:
    """Write the ONNX graph, check it against the network, and describe it."""
    build = read_build(folder)
    made = make_artifact(
        final_network(folder),
        name=build.name,
        problem=build.problem,
        report=read_json(folder / "report.json"),
        provenance=provenance(folder),
        float32=build.export.float32,
    )
    finished, partial = folder / "artifact", Path(mkdtemp(dir=folder))
    artifact.write(made, partial)
    shutil.rmtree(finished, ignore_errors=True)
    partial.rename(finished)


def publish(folder: Path, _: Progress) -> dict[str, Any]:
    """Publish the artifact as the next version of its name; the same job publishes once."""
    given, name = read_order(folder), read_build(folder).name
    assert given.registry is not None
    assert given.job is not None
    registry = Registry(Path(given.registry))
    return {"model": name, "version": registry.publish(name, artifact.read(folder / "artifact"), job_id=given.job)}


STEPS: Mapping[str, Step] = {
    "load": load_parent,
    "label": label,
    "train": train,
    "prune": prune,
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
    place(order(spec, registry=registry), folder)
    steps = plan(spec)[:-1]
    for step in steps:

        def report(share: float, step: str = step) -> None:
            if progress is not None:
                progress(step, done(steps, step, share))

        report(0.0)
        run_step(step, folder, report)
        report(1.0)
    return artifact.read(folder / "artifact")


def read_build(folder: Path) -> BuildSpec:
    """The specification that the steps follow: the order's own, or the parent's with what a prune order changes."""
    given = read_order(folder)
    if given.kind == "prune":
        return load(BuildSpec, read_json(folder / "parent.json")["build"])
    return load(BuildSpec, given.spec)


def write_network(path: Path, network: Network, build: BuildSpec) -> None:
    """A network between two steps; ONNX holds its float64 numbers exactly."""
    with replacing(path) as partial:
        partial.write_bytes(to_onnx(network, box=build.problem.box, metadata={}))


def final_network(folder: Path) -> Network:
    """The pruned network, or the trained one where nothing is pruned."""
    pruned = folder / "pruned.onnx"
    return read_network((pruned if pruned.exists() else folder / "trained.onnx").read_bytes())


def generator(name: str, *, seed: int) -> torch.Generator:
    """The torch generator of one named use."""
    return torch.Generator().manual_seed(int(stream(name, seed=seed).integers(1 << 63)))


def label_error(labels: Labels) -> dict[str, float]:
    """Root mean square standard error of each kind of label: the noise floor of everything learnt from them."""
    errors = {"value": labels.value_error, "delta": labels.gradient_error, "curvature": labels.curvature_error}
    return {name: float(error.square().mean().sqrt()) for name, error in errors.items() if error is not None}


def provenance(folder: Path) -> dict[str, Any]:
    """All that it takes to make the same bytes again, and where the network comes from."""
    given, build = read_order(folder), read_build(folder)
    parent = read_json(folder / "parent.json") if given.kind == "prune" else {"simulated_paths": 0, "parent": None}
    return {
        "build": dump(build),
        "seed": build.seed,
        "simulated_paths": parent["simulated_paths"] + read_json(folder / "labels.json")["simulated_paths"],
        "data_sha256": hashlib.sha256((folder / "labels.npz").read_bytes()).hexdigest(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "parent": parent["parent"],
        "job": given.job,
    }
