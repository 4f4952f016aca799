"""What one pruning step is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from pruning.interval import Interval
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.network import Network
from surrogate.scaling import Scaling

Unit = Literal["weights", "nodes", "parameters"]


def size(network: Network, unit: Unit, *, protect_inputs: bool = True) -> int:
    """How many of a unit a network has.

    Weights, and parameters, that are not 0; hidden nodes and, unless they are protected, inputs that are read.
    """
    match unit:
        case "weights":
            return int(sum(torch.count_nonzero(weight).item() for weight in network.weights))
        case "nodes":
            inputs = 0 if protect_inputs else int(network.weights[0].any(dim=0).sum().item())
            return inputs + sum(network.widths[1:-1])
        case "parameters":
            return network.parameters


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most ``count`` of ``unit`` may stay; weights and nodes are met exactly."""

    unit: Unit
    count: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a method may look at besides the network.

    Args:
        dataset: the samples that scores and rows are made of, in normalised units.
        scaling: takes a network in raw units to the dataset's.
        box: the inputs that bounds hold for, raw units.
    """

    dataset: Dataset
    scaling: Scaling
    box: Interval
    spec: PruningSpec
    generator: torch.Generator


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A pruned network in raw units; ``bound`` is proven on |pruned - given| over the box, None if nothing is."""

    network: Network
    bound: float | None = None
