"""One driver for all methods: a schedule of budgets, a step of the method for each, fine-tuning after it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from pricing.domain import Box
from pricing.specs.base import dump, load
from pricing.types import Progress
from pruning.budget import budgets, least_weights
from pruning.compact import compact, compact_with_places, spread
from pruning.errors import PruningError
from pruning.intervals.interval import Interval, interval_of
from pruning.masks import apply, masks_of
from pruning.methods import METHODS, PruningMethod
from pruning.parameters import prune_to_parameters
from pruning.sequential import from_sequential, to_sequential
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.dataset import Dataset, Samples, as_dataset, normalise
from surrogate.functions.network import Network, initialise
from surrogate.learning.training import silent, train
from surrogate.standardisation import Standardisation, fit_standardisation, to_raw

# Means and standard deviations come from about so many samples: they need no more, and a large data set is read once.
STANDARDISATION_SAMPLES = 8192

AnyNetwork = TypeVar("AnyNetwork", Network, torch.nn.Sequential)


@dataclass(frozen=True, kw_only=True)
class Pruned(Generic[AnyNetwork]):
    """A pruned network of the kind that was given, its masks (True = kept) and what happened, as JSON takes it."""

    network: AnyNetwork
    masks: tuple[Tensor, ...]
    report: Mapping[str, Any]


def prune(
    network: AnyNetwork,
    dataset: Samples,
    spec: PruningSpec,
    *,
    box: Box | None = None,
    start: Network | None = None,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> Pruned[AnyNetwork]:
    """Shrink a network to the target of the specification.

    Works in float64 and returns the network's own element type. A weight that is 0 counts as pruned and stays 0; a
    method that removes weights keeps the shape of the network (`pruning.compact.compact` removes what is dead).
    The report's ``bound`` is proven: |pruned(x) - given(x)| <= bound for every x in the box, as functions of real
    numbers. It is None where nothing is proven: single weights removed, fine-tuning, parameters rounded to float32.

    Args:
        network: raw units; ours, or a ``torch.nn.Sequential`` of Linear layers with one kind of activation.
        dataset: raw units; what scores are measured on and fine-tuning learns from. Integer labels are classes.
        box: inputs that significance and bound hold for; by default the least and largest of the dataset.
        start: the earlier network whose weights ``retraining = "rewind"`` goes back to.

    Raises:
        InvalidSpec: a name or type of the specification is unknown.
        ImpossibleSparsity: the target leaves no network; raised before any work if counting shows it.
        PruningError: box or dataset do not fit, a number is not finite, or the row matrix would not fit.
    """
    ours = network if isinstance(network, Network) else from_sequential(network)
    # A specification made in Python has had its bounds checked, its names and types not yet.
    spec, samples = load(PruningSpec, dump(spec)), as_dataset(dataset)
    with torch.enable_grad():
        pruned = _prune(ours, samples, spec, box=box, start=start, generator=generator, progress=progress or silent)
    if isinstance(network, Network):
        return pruned
    return Pruned(network=to_sequential(pruned.network, like=network), masks=pruned.masks, report=pruned.report)


def _prune(
    network: Network,
    dataset: Dataset,
    spec: PruningSpec,
    *,
    box: Box | None,
    start: Network | None,
    generator: torch.Generator,
    progress: Progress,
) -> Pruned[Network]:
    method, given = METHODS[spec.method], network.to(torch.float64)
    path = budgets(given, spec, method)
    domain, standardisation = _checked(given, dataset, spec, box, start), _standardisation(dataset)
    smaller, stages = given, list[dict[str, Any]]()
    bound: float | None = 0.0
    for stage, budget in enumerate(path):
        evidence = _evidence(dataset, standardisation, spec, domain, generator)
        if spec.retraining == "one_shot":
            smaller, bound = given, 0.0
        cut = Cut(network=smaller, bound=0.0)
        excess = size(smaller, budget.unit, protect_inputs=spec.protect_inputs) - budget.count
        if excess > 0 or (excess == 0 and stage > 0 and method.refits):
            cut = _step(method, smaller, budget, evidence)
        rewound = _rewound(cut.network, evidence, start)
        smaller, losses = _fine_tune(rewound, evidence, _share(progress, stage, len(path)))
        proven = cut.bound is not None and rewound is cut.network and not losses
        bound = bound + cut.bound if bound is not None and cut.bound is not None and proven else None
        stages.append(_entry(budget, smaller, cut, losses, protect_inputs=spec.protect_inputs))
    if network.dtype != torch.float64 and bound:
        bound = None
    final = smaller.to(network.dtype)
    return Pruned(network=final, masks=masks_of(final), report=_report(given, final, spec, bound, stages))


def evidence_for(
    network: Network, dataset: Dataset, spec: PruningSpec, *, box: Box | None, generator: torch.Generator
) -> Evidence:
    """What a step from the given network may look at.

    Raises:
        PruningError: box or dataset do not fit.
    """
    domain = _checked(network, dataset, spec, box, None)
    return _evidence(dataset, _standardisation(dataset), spec, domain, generator)


def one_stage(given: Network, budget: Budget, cut: Cut, spec: PruningSpec, dtype: torch.dtype) -> Pruned[Network]:
    """The result of a single step without fine-tuning, for methods that prove no bound."""
    final = cut.network.to(dtype)
    entry = _entry(budget, final, cut, [], protect_inputs=spec.protect_inputs)
    return Pruned(network=final, masks=masks_of(final), report=_report(given, final, spec, None, [entry]))


def _step(method: PruningMethod, network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """The method's cut; one that removes weights searches for the number of them that a budget of parameters is.

    Raises:
        PruningError: a weight or bias is not finite.
    """
    if method.granularity == "weights" and budget.unit == "parameters":
        least = least_weights(network, method)
        cut = prune_to_parameters(method.prune, network, budget, evidence, least=least)
    else:
        cut = method.prune(network, budget, evidence)
    if not all(torch.isfinite(part).all() for _, part in _parameters(cut.network)):
        raise PruningError(
            f"{evidence.spec.method} at a budget of {budget.count} {budget.unit} ended in numbers that are not finite; "
            "raise the ridge, or remove less in a stage"
        )
    # What overflowed on the way proves nothing.
    return cut if cut.bound is None or math.isfinite(cut.bound) else Cut(network=cut.network)


def _checked(
    network: Network, dataset: Dataset, spec: PruningSpec, box: Box | None, start: Network | None
) -> Interval | None:
    """The box as an interval, after everything was found to fit.

    Raises:
        PruningError: names what does not.
    """
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
    if spec.retraining == "rewind":
        if start is None or start.widths != network.widths:
            raise PruningError("retraining: 'rewind' needs start=, an earlier network of the same shape")
        if METHODS[spec.method].granularity != "weights" or METHODS[spec.method].least is not None:
            raise PruningError("retraining: 'rewind' needs a method that removes weights and keeps the shape")
    for name, part in (*_parameters(network), *vars(dataset).items()):
        if part is not None:
            _require_finite(name, part)
    if box is None:
        return None
    if box.dimension != inputs:
        raise PruningError(f"the box has {box.dimension} coordinates, the dataset {inputs}; give both the same")
    return interval_of(box)


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


def _standardisation(dataset: Dataset) -> Standardisation:
    """Means and standard deviations of about `STANDARDISATION_SAMPLES` samples, float64."""
    thinned = dataset.rows(slice(None, None, -(-len(dataset) // STANDARDISATION_SAMPLES)))
    return fit_standardisation(thinned.x.double(), thinned.y if dataset.has_classes else thinned.y.double())


def _evidence(
    dataset: Dataset,
    standardisation: Standardisation,
    spec: PruningSpec,
    domain: Interval | None,
    generator: torch.Generator,
) -> Evidence:
    """At most ``spec.samples`` random samples in normalised units, fresh at every stage, and the box."""
    chosen = torch.randperm(len(dataset), generator=generator)[: spec.samples]
    return Evidence(
        dataset=normalise(dataset.rows(chosen).to(torch.float64), standardisation),
        standardisation=standardisation,
        training=dataset,
        domain=domain,
        spec=spec,
        generator=generator,
    )


def _rewound(network: Network, evidence: Evidence, start: Network | None) -> Network:
    """The same mask on the weights that retraining starts from."""
    match evidence.spec.retraining:
        case "cascade" | "one_shot":
            return network
        case "rewind":
            assert start is not None
            origin = start.to(network.dtype)
        case "random":
            fresh = initialise(network.widths, network.activation, generator=evidence.generator)
            origin = to_raw(fresh, evidence.standardisation)
    return apply(replace(origin, linear=network.linear), masks_of(network))


def _share(progress: Progress, stage: int, stages: int) -> Progress:
    """Progress of one stage as progress of the whole."""

    def report(done: float) -> None:
        progress((stage + done) / stages)

    return report


def _fine_tune(network: Network, evidence: Evidence, report: Progress) -> tuple[Network, list[float]]:
    """The network after the fine-tuning of the specification, if there is one, and the losses on the way.

    Trained without its dead nodes: the same function, at a fraction of the cost.
    """
    losses: list[float] = []
    if evidence.spec.fine_tuning is not None:
        smaller, places = compact_with_places(network)
        trained = train(
            smaller,
            evidence.training.to(torch.float64),
            evidence.spec.fine_tuning,
            generator=evidence.generator,
            masks=masks_of(smaller),
            progress=report,
        )
        network, losses = spread(trained.network, places, network), list(trained.losses)
    report(1.0)
    return network, losses


def _entry(budget: Budget, network: Network, cut: Cut, losses: list[float], *, protect_inputs: bool) -> dict[str, Any]:
    """What the report says of one stage; its bound is on the cut alone."""
    return {
        "budget": budget.count,
        "unit": budget.unit,
        "kept": size(network, budget.unit, protect_inputs=protect_inputs),
        "parameters": network.parameters,
        "widths": list(network.widths),
        "bound": cut.bound,
        "loss": losses[-1] if losses else None,
    }


def _report(
    given: Network, final: Network, spec: PruningSpec, bound: float | None, stages: list[dict[str, Any]]
) -> dict[str, Any]:
    """The whole run as plain data."""
    weights = sum(weight.numel() for weight in given.weights)
    read, compacted = final.weights[0].any(dim=0), compact(final)
    return {
        "method": spec.method,
        "granularity": METHODS[spec.method].granularity,
        "sparsity": 1.0 - size(final, "weights") / weights,
        "parameters": {"before": given.parameters, "after": final.parameters, "compact": compacted.parameters},
        "widths": {"before": list(given.widths), "after": list(final.widths), "compact": list(compacted.widths)},
        "inputs_removed": [i for i, used in enumerate(read.tolist()) if not used],
        "bound": bound,
        "stages": stages,
    }
