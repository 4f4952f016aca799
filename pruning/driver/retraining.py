"""What follows a cut: other weights on the same mask if the specification goes back to some, and fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import torch

from pricing.types import Progress
from pruning.compact import compact_with_places, spread
from pruning.driver.stages import Repaired
from pruning.removal.masks import apply, masks_of
from pruning.stage import Evidence
from surrogate.functions.network import Network, initialise
from surrogate.learning.training import train
from surrogate.learning.watching import Watch
from surrogate.standardisation import to_raw


def retrain(
    network: Network, evidence: Evidence, progress: Progress, *, start: Network | None, watch: Watch | None = None
) -> Repaired:
    """The network as the specification retrains it: rewound or drawn afresh, then fine-tuned; the same if not at all.

    Args:
        start: the earlier network that ``retraining = "rewind"`` goes back to.
        watch: who follows the fine-tuning.
    """
    return _fine_tuned(_rewound(network, evidence, start), evidence, progress, watch)


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


def _fine_tuned(network: Network, evidence: Evidence, progress: Progress, watch: Watch | None) -> Repaired:
    """The network after the fine-tuning of the specification, if there is one, and the losses on the way.

    Trained without its dead nodes: the same function, at a fraction of the cost.
    """
    losses: tuple[float, ...] = ()
    if evidence.spec.fine_tuning is not None:
        smaller, places = compact_with_places(network)
        trained = train(
            smaller,
            evidence.training.to(torch.float64),
            evidence.spec.fine_tuning,
            generator=evidence.generator,
            masks=masks_of(smaller),
            progress=progress,
            watch=watch,
        )
        network, losses = spread(trained.network, places, network), trained.losses
    progress(1.0)
    return network, losses
