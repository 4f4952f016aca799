"""What a stage may look at: a draw of the samples in normalised units, once everything was found to fit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pricing.domain import Box
from pruning.errors import PruningError
from pruning.intervals.interval import Interval, interval_of
from pruning.spec import PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network
from surrogate.standardisation import Standardisation, fit_standardisation

# Means and standard deviations come from about so many samples: they need no more, and a large data set is read once.
SCALING_SAMPLES = 8192


def require_fit(
    network: Network, dataset: Dataset, spec: PruningSpec, *, box: Box | None, start: Network | None
) -> Interval | None:
    """The box as an interval, after everything was found to fit.

    Shape: -> (feature,).

    Raises:
        PruningError: names what does not.
    """
    require_labels(network, dataset)
    if spec.retraining == "rewind" and (start is None or start.widths != network.widths):
        raise PruningError("retraining: 'rewind' needs start=, an earlier network of the same shape")
    for name, numbers in (*_parameters(network), *vars(dataset).items()):
        if numbers is not None:
            _require_finite(name, numbers)
    if box is None:
        return None
    if box.dimension != network.widths[0]:
        raise PruningError(
            f"the box has {box.dimension} coordinates, the dataset {network.widths[0]}; give both the same"
        )
    return interval_of(box)


def require_labels(network: Network, dataset: Dataset) -> None:
    """Raise PruningError unless the samples have the network's inputs and outputs."""
    inputs, labels = network.widths[0], dataset.y
    if dataset.x.ndim != 2 or dataset.x.shape[1] != inputs or len(dataset) == 0:
        raise PruningError(
            f"the network takes {inputs} inputs, the dataset's features have shape {tuple(dataset.x.shape)}; give at "
            f"least one row of {inputs}"
        )
    if dataset.has_classes and int(labels.min()) < 0:
        raise PruningError(f"classes are counted from 0, the dataset has {int(labels.min())}")
    outputs = int(labels.max()) + 1 if dataset.has_classes else (1 if labels.ndim == 1 else labels.shape[1])
    if outputs != network.widths[-1] and not (dataset.has_classes and outputs < network.widths[-1]):
        kind = f"classes up to {outputs - 1}" if dataset.has_classes else f"labels of {outputs} outputs"
        raise PruningError(f"the network has {network.widths[-1]} outputs, the dataset {kind}")


def _parameters(network: Network) -> Iterator[tuple[str, Tensor]]:
    """Weights and biases by name."""
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True), start=1):
        yield f"weight of layer {layer}", weight
        yield f"bias of layer {layer}", bias


def _require_finite(name: str, values: Tensor) -> None:
    """Raise PruningError if a number is not finite; a sum finds that in one pass."""
    if not values.is_floating_point() or torch.isfinite(values.sum()):
        return
    wrong = (~torch.isfinite(values)).nonzero()
    if len(wrong):
        place = wrong[0].tolist()
        raise PruningError(
            f"{name}{place} is {values[tuple(place)].item()}: every number must be finite; mend or leave out that row"
        )


def standardisation_of(dataset: Dataset) -> Standardisation:
    """Means and standard deviations of about `SCALING_SAMPLES` samples, float64."""
    thinned = dataset.rows(slice(None, None, -(-len(dataset) // SCALING_SAMPLES)))
    return fit_standardisation(thinned.x.double(), thinned.y if dataset.has_classes else thinned.y.double())


def draw_evidence(
    dataset: Dataset,
    standardisation: Standardisation,
    spec: PruningSpec,
    *,
    domain: Interval | None,
    generator: torch.Generator,
) -> Evidence:
    """At most ``spec.samples`` random samples in normalised units, and the box; every call draws anew.

    Shape: -> samples (row, feature).
    """
    chosen = torch.randperm(len(dataset), generator=generator)[: spec.samples]
    return Evidence(
        dataset=normalise(dataset.rows(chosen).to(torch.float64), standardisation),
        standardisation=standardisation,
        training=dataset,
        domain=domain,
        spec=spec,
        generator=generator,
    )
