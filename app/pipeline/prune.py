"""The step that prunes, and the one way to prune a build that prune jobs and sweeps take too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from app.pipeline.derived import draw_network, generator, input_box
from app.pipeline.facts import PruneOrder
from app.pipeline.folder import JobFolder
from app.pipeline.tensors import curves_of, read_held_out, read_trained, read_training_data, write_network
from app.specification.build import BuildSpec
from pricing.specs.base import load
from pricing.types import Progress
from pruning.compact import compact
from pruning.counting.targets import Shape, dense
from pruning.counting.traits import TRAITS
from pruning.driver.budget import shape_of
from pruning.driver.milestones import Milestones
from pruning.prune import prune as prune_network
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.learning.watching import Heard, Log, Watch, unheard
from surrogate.report.sources import PruningFacts
from surrogate.spec import TrainingSpec


def prune(folder: JobFolder, progress: Progress, heard: Heard = unheard) -> None:
    """Prune as the specification says, if it does, fine-tune what is left and leave it with the report of both."""
    build = folder.build()
    if not folder.prunes():
        return
    log, data = Log(heard=heard), read_training_data(folder, build)
    network, report = prune_build(folder, build, data=data, progress=progress, log=log)
    if log.begun:
        folder.fine_tuning.write(curves_of(folder, log, "prune"))
    folder.pruning.write(load(PruningFacts, dict(report)))
    write_network(folder.pruned, network, build)


def prune_build(
    folder: JobFolder, build: BuildSpec, *, data: Dataset, progress: Progress, log: Log | None = None
) -> tuple[Network, Mapping[str, Any]]:
    """The pruned network of a build, as it is exported, and the report of `pruning.prune.prune`.

    A build with ``[pruning]``, a prune job and a case of a sweep all come here, so that the same words with the same
    seed and labels give the same network. A method that prunes after training is given the network in the folder:
    trained by an earlier step, or the parent's. One that prunes before training or during it is given the network that
    training starts from, drawn anew from seed and specification; see `recipe`. The report measures what happens on the
    labels and on the held-out rows of a dataset.

    Shape: data x (batch, input), the network's own inputs.

    Raises:
        ImpossibleSparsity, InvalidSpec: a combination that cannot be.
    """
    spec, held_out = recipe(folder, build), read_held_out(folder, build)
    # A version that a prune job takes up started from other labels: nobody knows its first network here.
    unknown = starts_trained(spec) and spec.retraining != "rewind" and isinstance(folder.order.read(), PruneOrder)
    drawn = None if unknown else draw_network(build, data)
    given = read_trained(folder) if starts_trained(spec) else drawn
    assert given is not None
    pruned = prune_network(
        given,
        data,
        spec,
        box=input_box(build),
        start=drawn,
        milestones=Milestones(held_out=held_out),
        generator=generator("pruning", seed=build.seed),
        progress=progress,
        watch=None if log is None else Watch(log=log, held_out=held_out),
    )
    # What a bound is proven for is exported as it is; a node method leaves nothing dead anyway.
    return pruned.network if pruned.report["bound"] is not None else compact(pruned.network), pruned.report


def starts_trained(spec: PruningSpec) -> bool:
    """Whether the method prunes a trained network, and not the one that training starts from."""
    return TRAITS[spec.method].phase == "after"


def recipe(folder: JobFolder, build: BuildSpec) -> PruningSpec:
    """The pruning of a build with what the phase of its method makes of it.

    After training: as it stands, fine-tuning with the ridge that the training chose. Before training: in one stage,
    then trained as the dense network would be, with the optimisers of the fine-tuning after those of the training, on
    the loss of the last. During training: in one stage, by the method's ``dynamics``, then the fine-tuning.
    """
    spec = build.pruning
    assert spec is not None
    phase = TRAITS[spec.method].phase
    if phase != "after":
        spec = replace(spec, stages=1)
    if phase == "before":
        spec = replace(spec, fine_tuning=whole_training(build.training, spec.fine_tuning))
    if build.dataset is None or spec.fine_tuning is None or spec.fine_tuning.ridge is not None:
        return spec
    chosen = folder.ridge.read_if_there() if phase == "after" else None
    ridge = "auto" if chosen is None else chosen.ridge
    return replace(spec, fine_tuning=replace(spec.fine_tuning, ridge=ridge))


def whole_training(training: TrainingSpec, fine_tuning: TrainingSpec | None) -> TrainingSpec:
    """Training with the fine-tuning's optimisers after it, on the loss of the last of them."""
    if fine_tuning is None:
        return training
    return replace(fine_tuning, optimisers=(*training.optimisers, *fine_tuning.optimisers))


def shape(folder: JobFolder, build: BuildSpec) -> Shape:
    """What is pruned, as far as counting goes: known before anything is simulated."""
    assert build.pruning is not None
    if starts_trained(build.pruning) and isinstance(folder.order.read(), PruneOrder):
        return shape_of(read_trained(folder))
    return dense(build.network.widths(input_box(build).dimension))
