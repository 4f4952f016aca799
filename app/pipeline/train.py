"""The step that learns the labels."""

from __future__ import annotations

from msgspec.structs import replace

from app.pipeline.derived import generator, input_box
from app.pipeline.folder import JobFolder
from app.pipeline.prune import starts_trained
from app.pipeline.tensors import curves_of, read_held_out, read_training_data, write_network
from app.specification.build import BuildSpec
from pricing.types import Progress
from surrogate.export.onnx_reader import read_network
from surrogate.functions.surrogate import Surrogate
from surrogate.learning.differential_pca import Axes
from surrogate.learning.polynomial import fit_polynomial
from surrogate.learning.training import fit
from surrogate.learning.warm_start import fit_again
from surrogate.learning.watching import Heard, Log, Watch, unheard
from surrogate.report.sources import RidgeFacts


def train(folder: JobFolder, progress: Progress, heard: Heard = unheard) -> None:
    """Fit a randomly drawn network to the labels, or solve for a polynomial.

    Nothing is done for a method that prunes before or during training: the step that prunes trains too.
    """
    build, log = folder.build(), Log(heard=heard)
    if build.polynomial is not None:
        regression = fit_polynomial(read_training_data(folder, build), build.polynomial)
        folder.ridge.write(RidgeFacts(ridge=regression.relative_ridge))
        keep(folder, build, regression.surrogate, regression.axes)
    elif folder.start.path.exists():
        train_again(folder, build, progress, log)
    elif build.pruning is None or starts_trained(build.pruning):
        train_network(folder, build, progress, log)
    if log.begun:
        folder.training.write(curves_of(folder, log, "train"))


def train_network(folder: JobFolder, build: BuildSpec, progress: Progress, log: Log) -> None:
    """Fit a network; imported labels, whose noise nobody measured, have the ridge chosen where none is given."""
    spec = build.training
    if build.dataset is not None and spec.ridge is None:
        spec = replace(spec, ridge="auto")
    trained = fit(
        read_training_data(folder, build),
        build.network,
        spec,
        generator=generator("training", seed=build.seed),
        progress=progress,
        watch=Watch(log=log, held_out=read_held_out(folder, build)),
    )
    if trained.choice is not None:
        folder.ridge.write(RidgeFacts(ridge=trained.choice.ridge, tried=trained.choice.scores))
    keep(folder, build, trained.network, trained.axes)


def train_again(folder: JobFolder, build: BuildSpec, progress: Progress, log: Log) -> None:
    """Train from a version's weights, with the ridge that was chosen for it; a pruned one as it was fine-tuned."""
    fine_tuning = None if build.pruning is None else build.pruning.fine_tuning
    spec, chosen, before = fine_tuning or build.training, folder.ridge.read_if_there(), folder.parent.read().inputs
    assert before is not None
    if build.dataset is not None and spec.ridge is None:
        spec = replace(spec, ridge="auto" if chosen is None else chosen.ridge)
    trained = fit_again(
        read_network(folder.start.read()),
        read_training_data(folder, build),
        build.network,
        spec,
        before=before,
        after=input_box(build),
        generator=generator("training", seed=build.seed),
        progress=progress,
        watch=Watch(log=log, held_out=read_held_out(folder, build)),
    )
    keep(folder, build, trained.network, trained.axes)


def keep(folder: JobFolder, build: BuildSpec, surrogate: Surrogate, axes: Axes | None) -> None:
    """Leave what was learnt, and what it sees of the features."""
    if axes is not None:
        folder.axes.write(axes.facts)
    write_network(folder.trained, surrogate, build)
