"""All pruning methods, by name: functions of one signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from pruning import saliency
from pruning.nodes import prune_nodes
from pruning.spec import MethodName
from pruning.stage import Budget, Cut, Evidence
from pruning.weights import prune_chita, prune_weights
from surrogate.network import Network


class Prune(Protocol):
    """One step: the network in raw units, cut down to a budget."""

    def __call__(self, network: Network, budget: Budget, evidence: Evidence) -> Cut:
        """The network within the budget."""


@dataclass(frozen=True, kw_only=True)
class PruningMethod:
    """A method with what a reader wants to know about it.

    Args:
        granularity: what it removes; weights leave a masked network, nodes a smaller dense one.
        options: the fields of PruningSpec that it reads besides target, schedule and fine-tuning.
        merges_layers: may remove whole hidden layers to meet a budget of parameters.
    """

    prune: Prune
    paper: str
    summary: str
    granularity: Literal["weights", "nodes"]
    options: tuple[str, ...] = ()
    merges_layers: bool = False


METHODS: Mapping[MethodName, PruningMethod] = {
    "magnitude": PruningMethod(
        prune=partial(prune_weights, score=saliency.magnitude),
        paper="Han et al., Learning both weights and connections for efficient neural networks, 2015",
        summary="smallest |w| of the whole network first",
        granularity="weights",
        options=("samples",),
    ),
    "magnitude_layerwise": PruningMethod(
        prune=partial(prune_weights, score=saliency.magnitude_layerwise),
        paper="Han et al., Learning both weights and connections for efficient neural networks, 2015",
        summary="smallest |w| first, the same share in every layer",
        granularity="weights",
        options=("samples",),
    ),
    "magnitude_neuron": PruningMethod(
        prune=partial(prune_nodes, score=saliency.node_magnitude),
        paper="He et al., Soft filter pruning for accelerating deep convolutional neural networks, 2018",
        summary="nodes with the smallest row norm first, the same share in every layer; proven bound over the Box",
        granularity="nodes",
        options=("protect_inputs", "fold"),
    ),
    "salience": PruningMethod(
        prune=partial(prune_weights, score=saliency.salience),
        paper="Mozer & Smolensky, Skeletonization, 1989; Molchanov et al., Pruning convolutional neural networks, 2017",
        summary="smallest |w dL/dw| first, L the mean squared error",
        granularity="weights",
        options=("samples",),
    ),
    "salience_per_sample": PruningMethod(
        prune=partial(prune_weights, score=saliency.salience_per_sample),
        paper="Mozer & Smolensky, Skeletonization, 1989; Molchanov et al., Pruning convolutional neural networks, 2017",
        summary="smallest mean over samples of |w dL_n/dw| first",
        granularity="weights",
        options=("samples",),
    ),
    "random": PruningMethod(
        prune=partial(prune_weights, score=saliency.random),
        paper="baseline",
        summary="weights in random order",
        granularity="weights",
        options=("samples",),
    ),
    "random_neuron": PruningMethod(
        prune=partial(prune_nodes, score=saliency.node_random),
        paper="baseline",
        summary="nodes in random order; proven bound over the Box",
        granularity="nodes",
        options=("protect_inputs", "fold"),
    ),
    "significance": PruningMethod(
        prune=partial(prune_nodes, score=saliency.node_significance, merging=True),
        paper="Afghan & Naumann, Interval adjoint significance analysis for neural networks, 2020; "
        "Kichler, Afghan & Naumann, Towards Sobolev pruning, 2024",
        summary="nodes that can move the output least over the Box first, by interval adjoints; proven bound; "
        "with a target in parameters, nearly affine layers merge",
        granularity="nodes",
        options=("protect_inputs", "fold"),
        merges_layers=True,
    ),
    "chita": PruningMethod(
        prune=prune_chita,
        paper="Benbaki et al., Fast as CHITA: neural network pruning with combinatorial optimization, 2023",
        summary="weights chosen and adjusted together so that a quadratic model of the loss rises least",
        granularity="weights",
        options=("rows", "samples", "ridge"),
    ),
}
