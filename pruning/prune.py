"""Shrink a network to the target of a specification, by any method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from pricing.domain import Box
from pricing.specs.base import dump, load
from pricing.types import Progress
from pruning.driver.budget import budgets
from pruning.driver.cuts import cut_to
from pruning.driver.milestones import Milestones, Ruler, misused, ruler
from pruning.driver.report import report_on
from pruning.driver.retraining import retrain
from pruning.driver.samples import draw_evidence, require_fit, standardisation_of
from pruning.driver.sequential import from_sequential, to_sequential
from pruning.driver.stages import Course, RunResult, run
from pruning.removal.masks import masks_of
from pruning.spec import PruningSpec
from surrogate.dataset import Samples, as_dataset
from surrogate.functions.network import Network
from surrogate.learning.training import silent
from surrogate.learning.watching import Watch

AnyNetwork = TypeVar("AnyNetwork", Network, torch.nn.Sequential)


@dataclass(frozen=True, kw_only=True)
class Pruned(Generic[AnyNetwork]):
    """A pruned network of the kind that was given, its masks (True = kept) and what happened, as JSON takes it.

    Shape: masks out in, per layer.
    """

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
    milestones: Milestones | None = None,
    generator: torch.Generator,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Pruned[AnyNetwork]:
    """Shrink a network to the target of the specification.

    Works in float64 and returns the network's own element type. A weight that is 0 counts as pruned and stays 0; a
    method that removes weights keeps the shape of the network (`pruning.compact.compact` removes what is dead).
    The report's ``bound`` is proven: |pruned(x) - given(x)| <= bound for every x in the box, as functions of real
    numbers. It is None where nothing is proven: single weights removed, fine-tuning, parameters rounded to float32. Its
    ``milestones`` say how well the networks of the run fit: the start if it is given, the given one, the last cut, the
    result. A ``warning`` is there if a score of random weights was taken on weights that are trained, a
    ``relative_error`` if one is the target, ``unread`` if options are given that the method does not look at.

    Args:
        network: raw units; ours, or a ``torch.nn.Sequential`` of Linear layers with one kind of activation.
        dataset: raw units; what scores are measured on and fine-tuning learns from. Integer labels are classes.
        box: inputs that significance and bound hold for; by default the least and largest of the dataset.
        start: the earlier network whose weights ``retraining = "rewind"`` goes back to.
        milestones: what the networks of the run are measured on; by default the dataset.
        watch: who follows the fine-tuning of every stage.

    Raises:
        InvalidSpec: a name or type of the specification is unknown.
        ImpossibleSparsity: the target leaves no network; raised before any work if counting shows it.
        PruningError: box or dataset do not fit, a number is not finite, or the row matrix would not fit.
    """
    ours = own(network)
    # A specification made in Python has had its bounds checked, its names and types not yet.
    spec, samples = load(PruningSpec, dump(spec)), as_dataset(dataset)
    given = ours.to(torch.float64)
    path = budgets(given, spec)
    domain, standardisation = require_fit(given, samples, spec, box=box, start=start), standardisation_of(samples)
    course = Course(
        look=lambda _: draw_evidence(samples, standardisation, spec, domain=domain, generator=generator),
        cut=cut_to,
        repair=partial(retrain, start=start, watch=watch),
        restarts=spec.retraining == "one_shot",
    )
    by = ruler(given, samples, spec, milestones or Milestones())
    return concluded(network, start, spec, run(given, path, course, progress or silent), by=by)


def own(network: Network | torch.nn.Sequential) -> Network:
    """The network as ours."""
    return network if isinstance(network, Network) else from_sequential(network)


def concluded(
    network: AnyNetwork, start: Network | None, spec: PruningSpec, result: RunResult, *, by: Ruler | None
) -> Pruned[AnyNetwork]:
    """The result of a run as a network of the kind and element type of the one to be pruned.

    Args:
        network: what was to be pruned.
        start: what its training started from, where that is known.
        by: what the milestones are measured by; without it there are none.
    """
    given = own(network).to(torch.float64)
    final = result.network.to(own(network).dtype)
    masks, report = masks_of(final), report_on(given, final, spec, result)
    if by is not None:
        begun = {} if start is None else {"init": start}
        passed = {**begun, "pre_prune": given, "post_prune": result.stages[-1].cut.network, "final": final}
        report |= measured(by, passed, spec)
    if isinstance(network, Network):
        return Pruned(network=final, masks=masks, report=report)
    return Pruned(network=to_sequential(final, like=network), masks=masks, report=report)


@torch.no_grad()
def measured(by: Ruler, passed: Mapping[str, Network], spec: PruningSpec) -> dict[str, Any]:
    """The milestones of a run, what is wrong with its start, and the error that there is where one was promised."""
    given = passed["pre_prune"]
    facts: dict[str, Any] = {"milestones": by.milestones(passed)}
    if (warning := misused(spec.method, given, by)) is not None:
        facts["warning"] = warning
    if spec.promise is not None:
        facts["relative_error"] = by.off_by(given, passed["post_prune"], spec.promise)
    return facts
