"""Scores of a network before it is trained: SNIP, GraSP, SynFlow.

References: SNIP, Lee, Ajanthan & Torr 2019; in rounds, de Jorge et al. 2021; GraSP, Wang, Zhang & Grosse 2020;
SynFlow, Tanaka et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pruning.scores.saliency import Scores
from pruning.stage import Evidence
from surrogate.functions.network import Network, flatten, outputs, unflatten
from surrogate.learning.losses import Objective, loss_weights
from surrogate.spec import SobolevLoss

# GraSP divides logits by this, so that the softmax of a fresh classifier is flat (Wang, Zhang & Grosse 2020). Values
# are not divided: against labels of unit variance f / 200 would be the constant 0.
TEMPERATURE = 200.0


@dataclass(frozen=True, kw_only=True)
class LossOfWeights:
    """The loss as a function of the weights that are not 0, biases held.

    Shape: theta (living weight,).
    """

    objective: Objective
    theta: Tensor

    def loss(self, temperature: float = 1.0) -> Tensor:
        """The Sobolev loss, or the cross-entropy of logits over a temperature. Shape: -> scalar."""
        data = self.objective.dataset
        if data.has_classes:
            return cross_entropy(outputs(self.objective.at(self.theta), data.x) / temperature, data.y)
        return self.objective.loss(self.theta)

    def layers(self, scores: Tensor) -> Scores:
        """Scores of living weights by layer, 0 for the others. Shape: living weight -> out in, per layer."""
        network = self.objective.network
        everything = torch.zeros_like(flatten(network)).index_put((self.objective.free,), scores)
        return unflatten(network, everything).weights


def loss_of_weights(network: Network, evidence: Evidence) -> LossOfWeights:
    """The loss that the network is about to be trained with, on the evidence's samples, normalised units.

    Fine-tuning's if there is fine-tuning, otherwise of values and deltas if rows are "sobolev" and of values if not;
    integer labels have the cross-entropy.
    """
    data, spec = evidence.dataset, evidence.spec
    loss = SobolevLoss(order=1 if spec.rows == "sobolev" else 0)
    if data.has_classes:
        loss = SobolevLoss(order=0)
    elif spec.fine_tuning is not None:
        loss = spec.fine_tuning.loss
    weights_alone = replace(network, biases=tuple(torch.zeros_like(bias) for bias in network.biases))
    objective = Objective(
        network=network,
        dataset=data,
        weights=loss_weights(data, loss),
        free=flatten(weights_alone).nonzero()[:, 0],
    )
    return LossOfWeights(objective=objective, theta=objective.start().requires_grad_())


def snip(network: Network, evidence: Evidence) -> Scores:
    """|w dL/dw|, the derivative of the loss by the mask; the mean over samples comes before the absolute value.

    Shape: -> out in, per layer.
    """
    given = loss_of_weights(network, evidence)
    (gradient,) = torch.autograd.grad(given.loss(), given.theta)
    return given.layers((given.theta * gradient).detach().abs())


def grasp(network: Network, evidence: Evidence) -> Scores:
    """w (H g), signed: without w, ||g||^2 changes by -2 w (H g), so what stays has the largest gradient norm.

    Shape: -> out in, per layer.
    """
    given = loss_of_weights(network, evidence)
    (gradient,) = torch.autograd.grad(given.loss(TEMPERATURE), given.theta, create_graph=True)
    (product,) = torch.autograd.grad((gradient * gradient.detach()).sum(), given.theta)
    return given.layers((given.theta * product).detach())


def synflow(network: Network, evidence: Evidence) -> Scores:  # noqa: ARG001
    """|w dR/d|w|| with R = 1^T |W_L| ... |W_1| 1, up to one factor: what flows through a weight.

    The score is of the weights alone, but in normalised units: the spread of each input over the samples multiplies its
    weights, that of each of several outputs divides them. And `prune_weights` removes what no sample feels before
    anything that it ranks. Nothing else of the data counts, nor does the loss.

    Biases are 0 and activations the identity; only then is the flow R of every layer, and into and out of every node,
    the same. Each layer is divided by its mean row sum, so that R overflows at no depth.

    Shape: -> out in, per layer.
    """
    sums = [weight.abs().sum(dim=1).mean() for weight in network.weights]
    sizes = [w.abs() / mean.where(mean > 0, 1.0) for w, mean in zip(network.weights, sums, strict=True)]
    inward = [torch.ones_like(sizes[0][0])]
    for weight in sizes[:-1]:
        inward.append(weight @ inward[-1])
    outward = [torch.ones_like(sizes[-1][:, 0])]
    for weight in sizes[:0:-1]:
        outward.append(weight.T @ outward[-1])
    return tuple(
        after[:, None] * weight * before for after, weight, before in zip(reversed(outward), sizes, inward, strict=True)
    )
