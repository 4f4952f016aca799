"""What one pruning step is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.compact import compact
from pruning.counting.targets import Unit
from pruning.intervals.interval import Interval
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.spec import SobolevLoss
from surrogate.standardisation import Standardisation


def size(network: Network, unit: Unit, *, protect_inputs: bool = True) -> int:
    """How many of a unit a network has.

    Weights that are not 0; hidden nodes and, unless they are protected, inputs that are read; parameters: weights and
    biases that are left without dead nodes.
    """
    match unit:
        case "weights":
            return int(sum(torch.count_nonzero(weight).item() for weight in network.weights))
        case "nodes":
            inputs = 0 if protect_inputs else int(network.weights[0].any(dim=0).sum().item())
            return inputs + sum(network.widths[1:-1])
        case "parameters":
            alive = compact(network)
            layers = enumerate(alive.biases, start=1)
            return size(alive, "weights") + sum(bias.numel() for layer, bias in layers if layer not in alive.linear)


def trained_with(spec: PruningSpec, dataset: Dataset) -> SobolevLoss:
    """The loss of fine-tuning, or of values and the deltas there are. Shape: dataset x (batch, feature)."""
    if spec.fine_tuning is not None:
        return spec.fine_tuning.loss
    return SobolevLoss(order=0 if dataset.gradient is None else 1)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most ``count`` of ``unit`` may stay; weights are met exactly by methods that say so, nodes always."""

    unit: Unit
    count: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a method may look at besides the network.

    Args:
        dataset: the samples that scores and rows are made of, in normalised units, float64.
        standardisation: takes a network in raw units to the dataset's.
        training: all samples, raw units, the element type they came in.
        domain: the inputs that bounds hold for, raw units; without one, the least and largest of ``training``.

    Shape: domain and `box` (feature,).
    """

    dataset: Dataset
    standardisation: Standardisation
    training: Dataset
    domain: Interval | None
    spec: PruningSpec
    generator: torch.Generator

    @property
    def box(self) -> Interval:
        """The inputs that bounds hold for, raw units, float64. Shape: -> (feature,)."""
        if self.domain is not None:
            return self.domain
        return Interval(self.training.x.amin(dim=0).double(), self.training.x.amax(dim=0).double())


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A pruned network in raw units.

    Args:
        bound: proven on |pruned - given| over the box, None if nothing is.
        objective: Q of the quadratic model at the network's weights, None where the method has no such model.
    """

    network: Network
    bound: float | None = None
    objective: float | None = None
