"""From a specification to the numbers that may stay after each stage, by counting alone. Torch-free.

A submission is held to it, and the driver prunes by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pruning.counting.schedules import schedule
from pruning.counting.traits import TRAITS
from pruning.errors import ImpossibleSparsity
from pruning.spec import PruningSpec

Unit = Literal["weights", "nodes", "parameters"]

# (1 - s) p in floating point may fall short of an integer by rounding: 0.1 * 100 must keep 10 weights, not 9.
COUNT_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A network, as far as counting goes.

    Args:
        widths: inputs, hidden layers, outputs.
        least_factored: the fewest weights that products of low rank leave of it.
        present: weights and biases that are surely not 0.
    """

    widths: tuple[int, ...]
    least_factored: int
    present: int

    @property
    def weights(self) -> int:
        """Entries of its matrices."""
        return sum(fan_in * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def biases(self) -> int:
        """Of its layers, the outputs' among them."""
        return sum(self.widths[1:])


def dense(widths: Sequence[int]) -> Shape:
    """A network of which no weight is 0."""
    shape = Shape(widths=tuple(widths), least_factored=0, present=0)
    factored = sum(min(fan_in * fan_out, fan_in + fan_out) for fan_in, fan_out in pairwise(widths))
    return Shape(widths=shape.widths, least_factored=factored, present=shape.weights + shape.biases)


def kept_count(total: int, sparsity: float) -> int:
    """floor((1 - s) total), safe against rounding."""
    return int((1.0 - sparsity) * total + COUNT_TOLERANCE)


def counts(shape: Shape, spec: PruningSpec) -> tuple[Unit, tuple[int, ...]]:
    """What is counted, and how much of it may stay after each stage; the last is the target itself.

    Raises:
        ImpossibleSparsity: the target or the start of the schedule leaves no network.
    """
    unit, total, target = _target(shape, spec)
    if total == 0:
        raise ImpossibleSparsity(
            f"{spec.method} removes nodes and this network has no hidden ones; use another method", path="method"
        )
    if spec.promise is not None:
        return unit, (total,)  # how much less will do is found out by the cut
    _require_least(shape, spec, unit, total, target)
    end = max(0.0, 1.0 - target / total)
    if spec.initial_sparsity > end:
        raise ImpossibleSparsity(
            f"initial_sparsity = {spec.initial_sparsity} is beyond the target sparsity {end:.6g}; start below it",
            path="initial_sparsity",
            bound=end,
        )
    path = schedule(spec.schedule, spec.initial_sparsity, end, spec.stages)
    return unit, (*(max(target, kept_count(total, sparsity)) for sparsity in path[:-1]), target)


def _require_least(shape: Shape, spec: PruningSpec, unit: Unit, total: int, target: int) -> None:
    """Raise ImpossibleSparsity for a target below what the method keeps at least."""
    least = _least(shape, spec, unit)
    if target >= least:
        return
    if spec.parameters is None:
        asked, fixed, bound = "sparsity", spec.sparsity, max(0.0, 1.0 - least / total)
    else:
        asked, fixed, bound = "parameters", spec.parameters, spec.parameters + least - target
    raise ImpossibleSparsity(
        f"{asked} = {fixed} would leave {target} {unit} of a {'-'.join(map(str, shape.widths))} network, but "
        f"{spec.method} keeps at least {least}; ask for less pruning or for another method",
        path=asked,
        bound=bound,
    )


def _target(shape: Shape, spec: PruningSpec) -> tuple[Unit, int, int]:
    """What is counted, how much of it there is, and how much may stay."""
    traits = TRAITS[spec.method]
    if spec.sparsity is not None or spec.promise is not None:
        inputs = 0 if spec.protect_inputs else shape.widths[0]
        total = shape.weights if traits.granularity == "weights" else sum(shape.widths[1:-1]) + inputs
        return traits.granularity, total, kept_count(total, spec.sparsity or 0.0)
    assert spec.parameters is not None
    if traits.phase == "during":
        # They train at one number of weights: what is left of the target after the biases.
        return "weights", shape.weights, spec.parameters - shape.biases
    return "parameters", shape.weights + shape.biases, spec.parameters


def _least(shape: Shape, spec: PruningSpec, unit: Unit) -> int:
    """What the method keeps at least: one weight a layer unless it factors, or one node a layer."""
    traits = TRAITS[spec.method]
    hidden, outputs = len(shape.widths) - 2, shape.widths[-1]
    inputs = shape.widths[0] if spec.protect_inputs else 1
    match unit:
        case "weights":
            return shape.least_factored if traits.factors else hidden + 1
        case "nodes":
            return hidden if spec.protect_inputs else hidden + 1
        case "parameters" if traits.granularity == "weights":
            return 2 * hidden + 1 + outputs
        case "parameters":
            layers = 1 if traits.merges_layers else hidden
            return (inputs + 1) + 2 * (layers - 1) + 2 * outputs
