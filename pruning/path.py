"""One network at several sparsities, each pruned from the given network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec
import torch

from pricing.domain import Box
from pricing.specs.base import dump, load
from pruning.driver.budget import budgets
from pruning.driver.cuts import sound
from pruning.driver.milestones import Milestones, ruler
from pruning.driver.retraining import retrain
from pruning.driver.samples import draw_evidence, require_fit, standardisation_of
from pruning.driver.stages import Course, run
from pruning.errors import PruningError
from pruning.methods import METHODS
from pruning.prune import AnyNetwork, Pruned, concluded, own, prune
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence
from surrogate.dataset import Samples, as_dataset
from surrogate.functions.network import Network
from surrogate.learning.training import silent


def prune_path(
    network: AnyNetwork,
    dataset: Samples,
    spec: PruningSpec,
    sparsities: Sequence[float],
    *,
    box: Box | None = None,
    milestones: Milestones | None = None,
    generator: torch.Generator,
) -> tuple[Pruned[AnyNetwork], ...]:
    """The network at every sparsity, in the order given; those of the specification are replaced.

    CHITA builds its rows once and starts every sparsity from the solution of the one below, so seven cost less than
    twice one. On networks of more than 5,000 weights that leaves no time for ``refinement = "auto"``: name one, or call
    `prune`, for the best network at very high sparsity. Other methods prune once for each, all with the draws that the
    generator gives the first. ``box`` and ``milestones`` are as of `prune`.

    Raises:
        InvalidSpec: a name or type of the specification is unknown.
        PruningError: stages or fine-tuning are asked for, or box or dataset do not fit.
        ImpossibleSparsity: a sparsity leaves no network; raised before any work.
    """
    if spec.stages > 1 or spec.fine_tuning is not None:
        raise PruningError(
            f"a path takes one stage and no fine-tuning, got stages = {spec.stages} and "
            f"{'no ' if spec.fine_tuning is None else ''}fine_tuning; call prune for each sparsity"
        )
    spec = load(PruningSpec, dump(spec))
    specs = [msgspec.structs.replace(spec, sparsity=sparsity, parameters=None) for sparsity in sparsities]
    given = own(network).to(torch.float64)
    wanted = [budgets(given, each)[-1] for each in specs]
    shared = METHODS[spec.method].path
    if shared is None or not specs:
        again = partial(prune, network, dataset, box=box, milestones=milestones, generator=generator)
        return tuple(_one_by_one(again, specs, generator))
    samples = as_dataset(dataset)
    domain = require_fit(given, samples, specs[0], box=box, start=None)
    evidence = draw_evidence(samples, standardisation_of(samples), specs[0], domain=domain, generator=generator)
    cuts = dict(zip(wanted, shared(given, [budget.count for budget in wanted], evidence), strict=True))
    course = Course(look=lambda _: evidence, cut=partial(_cut_from, cuts), repair=partial(retrain, start=None))
    by = ruler(given, samples, specs[0], milestones or Milestones())
    return tuple(
        concluded(network, None, each, run(given, (budget,), course, silent), by=by)
        for each, budget in zip(specs, wanted, strict=True)
    )


def _one_by_one(
    once: Callable[[PruningSpec], Pruned[AnyNetwork]], specs: Sequence[PruningSpec], generator: torch.Generator
) -> Iterator[Pruned[AnyNetwork]]:
    """A run for each, all with the same draws."""
    state = generator.get_state()
    for each in specs:
        generator.set_state(state)
        yield once(each)


def _cut_from(
    cuts: Mapping[Budget, Cut],
    network: Network,  # noqa: ARG001
    budget: Budget,
    evidence: Evidence,
    *,
    again: bool,  # noqa: ARG001
) -> Cut:
    """The cut that was made for the budget."""
    return sound(cuts[budget], budget, evidence)
