"""One network at several sparsities, each pruned from the given network."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import torch

from pricing.domain import Box
from pruning.budget import budgets
from pruning.errors import PruningError
from pruning.methods import METHODS
from pruning.prune import AnyNetwork, Pruned, evidence_for, one_stage, prune
from pruning.quadratic.chita import chita_path
from pruning.sequential import from_sequential, to_sequential
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset, Samples, as_dataset
from surrogate.functions.network import Network


def prune_path(
    network: AnyNetwork,
    dataset: Samples,
    spec: PruningSpec,
    sparsities: Sequence[float],
    *,
    box: Box | None = None,
    generator: torch.Generator,
) -> tuple[Pruned[AnyNetwork], ...]:
    """The network at every sparsity, in the order given; those of the specification are replaced.

    CHITA builds its rows once and starts every sparsity from the solution of the one below, so seven cost less than
    twice one. On networks of more than 5,000 weights that leaves no time for ``refinement = "auto"``: name one, or call
    `prune`, for the best network at very high sparsity. Other methods prune once for each, all with the draws that the
    generator gives the first.

    Raises:
        PruningError: stages or fine-tuning are asked for, or box or dataset do not fit.
        ImpossibleSparsity: a sparsity leaves no network; raised before any work.
    """
    if spec.stages > 1 or spec.fine_tuning is not None:
        raise PruningError(
            f"a path takes one stage and no fine-tuning, got stages = {spec.stages} and "
            f"{'no ' if spec.fine_tuning is None else ''}fine_tuning; call prune for each sparsity"
        )
    specs = [msgspec.structs.replace(spec, sparsity=sparsity, parameters=None) for sparsity in sparsities]
    ours = network if isinstance(network, Network) else from_sequential(network)
    for each in specs:
        budgets(ours, each, METHODS[each.method])
    if not specs:
        return ()
    if spec.method == "chita":
        found = _chita(ours, as_dataset(dataset), specs, box, generator)
    else:
        found = []
        state = generator.get_state()
        for each in specs:
            generator.set_state(state)
            found.append(prune(ours, dataset, each, box=box, generator=generator))
    if isinstance(network, Network):
        return tuple(found)
    return tuple(
        Pruned(network=to_sequential(each.network, like=network), masks=each.masks, report=each.report)
        for each in found
    )


def _chita(
    network: Network, dataset: Dataset, specs: Sequence[PruningSpec], box: Box | None, generator: torch.Generator
) -> list[Pruned[Network]]:
    """All sparsities from one set of rows."""
    given = network.to(torch.float64)
    evidence = evidence_for(given, dataset, specs[0], box=box, generator=generator)
    wanted = [budgets(given, spec, METHODS[spec.method])[-1] for spec in specs]
    cuts = chita_path(given, [budget.count for budget in wanted], evidence)
    return [
        one_stage(given, budget, cut, spec, network.dtype)
        for budget, cut, spec in zip(wanted, cuts, specs, strict=True)
    ]
