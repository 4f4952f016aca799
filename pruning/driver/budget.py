"""From a specification to the budgets of all stages, with impossible targets refused before any work."""

from __future__ import annotations

from pruning.errors import ImpossibleSparsity
from pruning.methods import METHODS
from pruning.removal.masks import kept_count
from pruning.schedules import schedule
from pruning.spec import PruningSpec
from pruning.stage import Budget, Unit
from surrogate.functions.network import Network


def budgets(network: Network, spec: PruningSpec) -> tuple[Budget, ...]:
    """One budget a stage along the schedule; the last is the target itself.

    Raises:
        ImpossibleSparsity: the target or the start of the schedule leaves no network.
    """
    unit, total, target = _target(network, spec)
    if total == 0:
        raise ImpossibleSparsity(f"{spec.method} removes nodes and this network has no hidden ones; use another method")
    if spec.promise is not None:
        return (Budget(unit=unit, count=total),)  # how much less will do is found out by the cut
    least = _least(network, spec, unit)
    if target < least:
        wanted = f"sparsity = {spec.sparsity}" if spec.parameters is None else f"parameters = {spec.parameters}"
        raise ImpossibleSparsity(
            f"{wanted} would leave {target} {unit} of a {'-'.join(map(str, network.widths))} network, but "
            f"{spec.method} keeps at least {least}; ask for less pruning or for another method"
        )
    end = max(0.0, 1.0 - target / total)
    if spec.initial_sparsity > end:
        raise ImpossibleSparsity(
            f"initial_sparsity = {spec.initial_sparsity} is beyond the target sparsity {end:.6g}; start below it"
        )
    path = schedule(spec.schedule, spec.initial_sparsity, end, spec.stages)
    counts = [max(target, kept_count(total, sparsity)) for sparsity in path[:-1]]
    return tuple(Budget(unit=unit, count=count) for count in (*counts, target))


def _target(network: Network, spec: PruningSpec) -> tuple[Unit, int, int]:
    """What is counted, how much of it there is, and how much may stay."""
    method = METHODS[spec.method]
    weights = sum(weight.numel() for weight in network.weights)
    if spec.sparsity is not None or spec.promise is not None:
        inputs = 0 if spec.protect_inputs else network.widths[0]
        total = weights if method.granularity == "weights" else sum(network.widths[1:-1]) + inputs
        return method.granularity, total, kept_count(total, spec.sparsity or 0.0)
    assert spec.parameters is not None
    biases = sum(bias.numel() for bias in network.biases)
    if method.phase == "during":
        # They train at one number of weights: what is left of the target after the biases.
        return "weights", weights, spec.parameters - biases
    return "parameters", weights + biases, spec.parameters


def _least(network: Network, spec: PruningSpec, unit: Unit) -> int:
    """What the method keeps at least: one weight a layer unless it says otherwise, or one node a layer."""
    method = METHODS[spec.method]
    hidden, outputs = len(network.weights) - 1, network.widths[-1]
    inputs = network.widths[0] if spec.protect_inputs else 1
    match unit:
        case "weights":
            return method.least_weights(network)
        case "nodes":
            return hidden if spec.protect_inputs else hidden + 1
        case "parameters" if method.granularity == "weights":
            return 2 * hidden + 1 + outputs
        case "parameters":
            layers = 1 if method.merges_layers else hidden
            return (inputs + 1) + 2 * (layers - 1) + 2 * outputs
