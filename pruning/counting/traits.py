"""What kind of method each is, for whoever counts before anything is pruned. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pruning.spec import FACTORING, NODE_METHODS, MethodName

Phase = Literal["after", "before", "during"]
BEFORE: tuple[MethodName, ...] = ("snip", "snip_iterative", "grasp", "synflow", "ntk_sap", "ntk_sap_exact")
DURING: tuple[MethodName, ...] = ("set", "rigl")
# What may stay below a budget of weights.
INEXACT: tuple[MethodName, ...] = ("sipp_random", "sipp_hybrid", *FACTORING)
MERGING: tuple[MethodName, ...] = ("significance",)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """A method, as far as counting goes.

    Args:
        granularity: what it removes; weights leave a masked network, nodes a smaller dense one.
        phase: when it prunes: after training; before it, at the initial weights; or while it trains itself.
        exact: meets a budget of weights or nodes exactly; otherwise it may stay below.
        merges_layers: may remove whole hidden layers to meet a budget of parameters.
        factors: puts products of low rank in the place of layers.
    """

    granularity: Literal["weights", "nodes"]
    phase: Phase
    exact: bool
    merges_layers: bool
    factors: bool


def _traits(method: MethodName) -> Traits:
    return Traits(
        granularity="nodes" if method in NODE_METHODS else "weights",
        phase="before" if method in BEFORE else "during" if method in DURING else "after",
        exact=method not in INEXACT,
        merges_layers=method in MERGING,
        factors=method in FACTORING,
    )


TRAITS: Mapping[MethodName, Traits] = {method: _traits(method) for method in get_args(MethodName)}
