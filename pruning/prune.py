"""One driver for all methods: a schedule of budgets, a step of the method for each, fine-tuning after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pricing.domain import Box
from pricing.types import Progress
from pruning.budget import budgets
from pruning.compact import compact
from pruning.errors import PruningError
from pruning.interval import Interval
from pruning.masks import masks_of
from pruning.methods import METHODS
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.dataset import Dataset, normalise
from surrogate.network import Network
from surrogate.scaling import fit_scaling
from surrogate.training import train


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A pruned network in raw units, its masks (True = kept) and what happened, as JSON takes it."""

    network: Network
    masks: tuple[Tensor, ...]
    report: Mapping[str, Any]


def prune(
    network: Network,
    dataset: Dataset,
    spec: PruningSpec,
    *,
    box: Box | None = None,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> Pruned:
    """Shrink a network to the target of the specification.

    Works in float64 and returns the network's own element type. A weight that is 0 counts as pruned and stays 0.
    The report's ``bound`` is proven: |pruned(x) - given(x)| <= bound for every x in the box, as functions of real
    numbers. It is None where nothing is proven: single weights removed, fine-tuning, parameters rounded to float32.

    Args:
        network: raw units.
        dataset: raw units; what scores are measured on and fine-tuning learns from.
        box: inputs that significance and bound hold for; by default the least and largest of the dataset.

    Raises:
        ImpossibleSparsity: the target leaves no network; raised before any work.
        PruningError: the box does not fit, scores are not finite, or the row matrix would not fit.
    """
    method, dtype = METHODS[spec.method], network.dtype
    given, dataset = network.to(torch.float64), dataset.to(torch.float64)
    path = budgets(given, spec, method)
    evidence = _evidence(dataset, spec, box, generator)
    smaller, stages = given, list[dict[str, Any]]()
    bound: float | None = 0.0
    for stage, budget in enumerate(path):
        cut = Cut(network=smaller, bound=0.0)
        if size(smaller, budget.unit, protect_inputs=spec.protect_inputs) > budget.count:
            cut = method.prune(smaller, budget, evidence)
        smaller, losses = _fine_tune(cut.network, dataset, evidence, _share(progress, stage, len(path)))
        bound = None if bound is None or cut.bound is None or losses else bound + cut.bound
        stages.append(_entry(budget, smaller, cut, losses, protect_inputs=spec.protect_inputs))
    if bound is None:
        smaller = compact(smaller)
    if dtype != torch.float64 and bound:
        bound = None
    final = smaller.to(dtype)
    return Pruned(network=final, masks=masks_of(final), report=_report(given, final, spec, bound, stages))


def _evidence(dataset: Dataset, spec: PruningSpec, box: Box | None, generator: torch.Generator) -> Evidence:
    """At most ``spec.samples`` random samples in normalised units, and the box."""
    scaling = fit_scaling(dataset.x, dataset.y)
    chosen = torch.randperm(len(dataset), generator=generator)[: spec.samples]
    lower, upper = dataset.x.amin(dim=0), dataset.x.amax(dim=0)
    if box is not None:
        lower, upper = torch.from_numpy(box.lower.copy()), torch.from_numpy(box.upper.copy())
    if len(lower) != dataset.x.shape[1]:
        raise PruningError(
            f"the box has {len(lower)} coordinates, the dataset {dataset.x.shape[1]}; give both the same"
        )
    return Evidence(
        dataset=normalise(dataset.rows(chosen), scaling),
        scaling=scaling,
        box=Interval(lower, upper),
        spec=spec,
        generator=generator,
    )


def _share(progress: Progress | None, stage: int, stages: int) -> Progress:
    """Progress of one stage as progress of the whole."""

    def report(done: float) -> None:
        if progress is not None:
            progress((stage + done) / stages)

    return report


def _fine_tune(network: Network, dataset: Dataset, evidence: Evidence, report: Progress) -> tuple[Network, list[float]]:
    """The network after the fine-tuning of the specification, if there is one, and the losses on the way."""
    losses: list[float] = []
    if evidence.spec.fine_tuning is not None:
        trained = train(
            network,
            dataset,
            evidence.spec.fine_tuning,
            generator=evidence.generator,
            masks=masks_of(network),
            progress=report,
        )
        network, losses = trained.network, list(trained.losses)
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
    read = final.weights[0].any(dim=0)
    return {
        "method": spec.method,
        "granularity": METHODS[spec.method].granularity,
        "sparsity": 1.0 - size(final, "weights") / weights,
        "parameters": {"before": given.parameters, "after": final.parameters},
        "widths": {"before": list(given.widths), "after": list(final.widths)},
        "inputs_removed": [i for i, used in enumerate(read.tolist()) if not used],
        "bound": bound,
        "stages": stages,
    }
