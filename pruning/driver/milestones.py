"""How well a network fits along a pruning run: as drawn, as given, as cut, and in the end.

Loss is that of training in normalised units, or the cross-entropy of classes. Errors are root mean squares in raw
units, of values, of deltas and of second derivatives along the labels' directions, noise of the labels included; of
classes the shares that the first guess, or one of the first five, hits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pruning.driver.samples import require_labels, standardisation_of
from pruning.layerwise.guarantee import relative_errors
from pruning.methods import METHODS
from pruning.spec import MethodName, PruningSpec
from pruning.stage import trained_with
from surrogate.dataset import Dataset, Samples, as_dataset, normalise
from surrogate.functions.network import Network, hessian_vector, outputs, value_and_gradient
from surrogate.learning.losses import LossWeights, loss_weights, residuals
from surrogate.standardisation import Standardisation, to_normalised

# Of so many samples errors are known to 2 % of themselves, and deep networks take less time than their pruning.
MEASURED = 2048
# A network that explains so much of its labels was trained: of 6,000 random ones on smooth calls none explained .71.
TRAINED = 0.8


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """What a report measures of the networks of a run.

    Args:
        held_out: labelled samples that pruning and training do not see, raw units.
        samples: at most so many of either, evenly spaced; 0 measures nothing.
    """

    held_out: Samples | None = None
    samples: int = MEASURED


# For who times methods.
UNMEASURED = Milestones(samples=0)


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """What every network of a run is measured by: samples in raw units, float64, and the loss of training."""

    sets: Mapping[str, Dataset]
    standardisation: Standardisation
    weights: LossWeights

    def milestones(self, networks: Mapping[str, Network]) -> list[dict[str, Any]]:
        """One entry a network, as JSON takes it; a number that is not finite is None."""
        return [
            {"network": name, "parameters": network.parameters, **self._errors(network.to(torch.float64))}
            for name, network in networks.items()
        ]

    def off_by(self, given: Network, cut: Network, promise: tuple[float, float]) -> dict[str, float | None]:
        """The relative error that was promised, and that there is but for the share that may fail."""
        error, failure = promise
        x = normalise(self.sets[""], self.standardisation).x
        one, other = (to_normalised(network, self.standardisation) for network in (given, cut))
        measured = float(relative_errors(one, other, x).quantile(1.0 - failure))
        return {"promised": error, "failure": failure, "measured": measured if math.isfinite(measured) else None}

    def _errors(self, network: Network) -> dict[str, float | None]:
        found = {
            prefix + name: number
            for prefix, data in self.sets.items()
            for name, number in errors(network, data, self.standardisation, self.weights).items()
        }
        return {name: number if math.isfinite(number) else None for name, number in found.items()}


def ruler(network: Network, training: Dataset, spec: PruningSpec, wanted: Milestones) -> Ruler | None:
    """The ruler of a run; None where nothing is to be measured. Shape: training x (batch, feature), raw units.

    Raises:
        PruningError: the held-out samples do not fit the network.
    """
    if wanted.samples == 0:
        return None
    standardisation = standardisation_of(training)
    sets = {"": _thinned(training, wanted.samples)}
    if wanted.held_out is not None:
        held_out = as_dataset(wanted.held_out)
        require_labels(network, held_out)
        sets["held_out_"] = _thinned(held_out, wanted.samples)
    weights = loss_weights(normalise(sets[""], standardisation), trained_with(spec, training))
    return Ruler(sets=sets, standardisation=standardisation, weights=weights)


def _thinned(data: Dataset, samples: int) -> Dataset:
    return data.rows(slice(None, None, -(-len(data) // samples))).to(torch.float64)


def errors(network: Network, data: Dataset, standardisation: Standardisation, weights: LossWeights) -> dict[str, float]:
    """Loss, if its labels are there, and errors of those that are. Shape: data x (batch, feature), raw units."""
    if data.has_classes:
        logits = outputs(network, data.x)
        return {"loss": float(cross_entropy(logits, data.y)), "top1": _hits(logits, data.y, 1)} | (
            {"top5": _hits(logits, data.y, 5)} if logits.shape[1] >= 5 else {}
        )
    found = dict[str, float]()
    if (data.gradient is not None or weights.order < 1) and (data.curvature is not None or weights.order < 2):
        scaled = residuals(to_normalised(network, standardisation), normalise(data, standardisation), weights)
        found["loss"] = float(scaled.square().sum(dim=1).mean())
    found["value_rmse"] = _rms(outputs(network, data.x) - data.y.reshape(len(data), -1))
    if data.gradient is not None:
        found["delta_rmse"] = _rms(value_and_gradient(network, data.x)[1] - data.gradient)
    if data.directions is not None and data.curvature is not None:
        found["gamma_rmse"] = _rms(hessian_vector(network, data.x, data.directions)[2] - data.curvature)
    return found


def _rms(error: Tensor) -> float:
    return float(error.square().mean().sqrt())


def _hits(logits: Tensor, classes: Tensor, guesses: int) -> float:
    return float((logits.topk(guesses, dim=1).indices == classes[:, None]).any(dim=1).double().mean())


def explained(network: Network, data: Dataset) -> float:
    """The share of the labels' variance, or of the classes' entropy, that a network explains; below 0 less than none.

    Shape: data x (batch, feature), raw units.
    """
    predicted = outputs(network, data.x)
    if data.has_classes:
        shares = torch.bincount(data.y).double() / len(data)
        entropy = float(-torch.xlogy(shares, shares).sum())
        return 1.0 - float(cross_entropy(predicted, data.y)) / entropy if entropy > 0.0 else 0.0
    labels = data.y.reshape(len(data), -1)
    spread = float((labels - labels.mean(dim=0)).square().sum())
    return 1.0 - float((predicted - labels).square().sum()) / spread if spread > 0.0 else 0.0


def misused(method: MethodName, given: Network, by: Ruler) -> str | None:
    """What is wrong with the start, where a score of untrained weights is taken on trained ones."""
    if METHODS[method].phase != "before":
        return None
    share = explained(given, by.sets[""])
    if not share > TRAINED:
        return None
    return (
        f"{method} scores the random weights that training starts from, but the given ones explain {100 * share:.4g} % "
        "of the labels and so were trained; take a method that prunes after training, or give the random network"
    )
