"""What a run has to say of itself, as JSON takes it."""

from __future__ import annotations

from typing import Any

from pruning.compact import compact
from pruning.driver.stages import RunResult, Stage
from pruning.methods import METHODS
from pruning.spec import PruningSpec
from pruning.stage import size
from surrogate.functions.network import Network


def report_on(given: Network, final: Network, spec: PruningSpec, result: RunResult) -> dict[str, Any]:
    """The whole run; ``final`` is the result's network in the element type of the caller.

    A bound is on functions of real numbers: none is left once parameters are rounded.
    """
    weights = sum(weight.numel() for weight in given.weights)
    read, compacted = final.weights[0].any(dim=0), compact(final)
    unread = METHODS[spec.method].unread(spec)
    rounded = final.dtype != result.network.dtype
    return {
        "method": spec.method,
        "granularity": METHODS[spec.method].granularity,
        "sparsity": 1.0 - size(final, "weights") / weights,
        "parameters": {"before": given.parameters, "after": final.parameters, "compact": compacted.parameters},
        "widths": {"before": list(given.widths), "after": list(final.widths), "compact": list(compacted.widths)},
        "inputs_removed": [i for i, used in enumerate(read.tolist()) if not used],
        "bound": None if rounded and result.bound else result.bound,
        "stages": [_entry(stage, protect_inputs=spec.protect_inputs) for stage in result.stages],
        **({"unread": list(unread)} if unread else {}),
    }


def _entry(stage: Stage, *, protect_inputs: bool) -> dict[str, Any]:
    """One stage; bound and objective are of the cut alone."""
    return {
        "budget": stage.budget.count,
        "unit": stage.budget.unit,
        "kept": size(stage.network, stage.budget.unit, protect_inputs=protect_inputs),
        "parameters": stage.network.parameters,
        "widths": list(stage.network.widths),
        "bound": stage.cut.bound,
        **({} if stage.cut.objective is None else {"objective": stage.cut.objective}),
        "loss": stage.losses[-1] if stage.losses else None,
    }
