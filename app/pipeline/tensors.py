"""The files of a job's folder as datasets and networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from app.files import replacing
from app.pipeline.derived import canonical, input_box, reduction_of
from app.pipeline.folder import BinaryFile, JobFolder
from app.specification.build import BuildSpec
from pricing.labels import Labels
from pricing.labels import load as load_labels
from surrogate.dataset import Dataset, from_labels
from surrogate.export.onnx_reader import read_network, read_surrogate
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network
from surrogate.functions.surrogate import Surrogate
from surrogate.learning.exchange import exchanged
from surrogate.learning.watching import Log
from surrogate.reductions.reduction import to_network
from surrogate.report.curves import TrainingCurves


def read_training_data(folder: JobFolder, build: BuildSpec) -> Dataset:
    """What the network learns from, in its own inputs, simulated labels of like assets exchanged too.

    Shape: x (batch, input).
    """
    if of_rows(build):
        return read_rows(folder.labels)
    return as_seen(exchanged(load_labels(folder.labels.path), canonical(build), seed=build.seed), build)


def read_held_out(folder: JobFolder, build: BuildSpec) -> Dataset | None:
    """What a training is watched by and does not learn from, in the network's own inputs. Shape: x (batch, input)."""
    if folder.unseen_facts.read_if_there() is None:
        return None
    if build.dataset is not None:
        return read_rows(folder.held_out)
    return read_rows(folder.unseen) if of_rows(build) else as_seen(load_labels(folder.unseen.path), build)


def of_rows(build: BuildSpec) -> bool:
    """Whether labels are rows as they are, of a dataset or a teacher, and not of the canonical problem."""
    return build.dataset is not None or build.labels.teacher is not None


def as_seen(labels: Labels, build: BuildSpec, *, whole: bool = False) -> Dataset:
    """Simulated labels of the canonical problem in the network's own inputs.

    Args:
        whole: without a control taken off.

    Shape: -> x (batch, input).
    """
    data, reduction = from_labels(labels), reduction_of(build)
    if reduction is None:
        return data
    return to_network(replace(reduction, local_control=None) if whole else reduction, data)


def curves_of(folder: JobFolder, log: Log, step: Literal["train", "prune"]) -> TrainingCurves:
    """What a step has seen of its trainings."""
    return TrainingCurves(trainings=log.trainings(step), held_out=folder.unseen_facts.read_if_there())


def write_rows(file: BinaryFile, rows: Dataset) -> None:
    """Write rows of a dataset; the same tensors give the same bytes. Shape: x (row, feature)."""
    with replacing(file.path) as partial, partial.open("wb") as archive:
        arrays = {name: tensor.numpy() for name, tensor in vars(rows).items() if tensor is not None}
        np.savez(archive, allow_pickle=False, **arrays)


def read_rows(file: BinaryFile) -> Dataset:
    """Read what `write_rows` wrote. Shape: x (row, feature)."""
    with np.load(file.path, allow_pickle=False) as archive:
        return Dataset(**{name: torch.from_numpy(archive[name]) for name in archive.files})


def write_network(file: BinaryFile, network: Surrogate, build: BuildSpec) -> None:
    """A network between two steps; ONNX holds its float64 numbers exactly."""
    file.write(to_onnx(network, box=input_box(build), metadata={}))


def read_trained(folder: JobFolder) -> Network:
    """The trained network, or the parent's."""
    return read_network(folder.trained.read())


def read_final(folder: JobFolder) -> Surrogate:
    """The pruned network, or what was trained where nothing is pruned."""
    pruned = folder.pruned
    return read_surrogate((pruned if pruned.path.exists() else folder.trained).read())
