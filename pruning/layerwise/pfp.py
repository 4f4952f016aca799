"""PFP: nodes kept by the sensitivity of what reads them; one accuracy for all layers says how many each keeps.

A node j counts as much as the weight that needs it most, s_j = max_i s_ij over the rows of the next layer. Drawing m
nodes with replacement and probabilities p_j = s_j / S leaves every sum of the next layer right to a share eps if

    m(eps) = 3 (6 + 2 eps) a / eps^2,    a = 2 C log(16 / delta) S,

and sum_j 1 - (1 - p_j)^m different nodes are expected. The largest eps that spends the budget sizes all layers, or the
same share of nodes is kept of each; where an error of the outputs is the target, `pruning.layerwise.guarantee` has the
eps and delta of every layer.

Chosen at random, a layer of k nodes is the first k different ones to come up. In continuous time node j comes up at
T_j ~ Exp(p_j), and with t the time of the next one, given the other times, it is among the k with probability
1 - exp(-p_j t): divided by it, its column is unbiased. That is the mean of n_j / (m p_j), the published factor, over
how often the nodes that were kept come up, so it varies less; and the number of nodes is exact.

Only the deviation of a node from a constant c_j is rescaled or lost: the next bias takes W_ij (1 - f_j) c_j. Where an
error is promised c_j is 0.

References: Liebenwein, Baykal, Lang, Feldman & Rus, "Provable filter pruning for efficient neural networks" (ICLR
2020); Cohen & Kaplan, "Summarizing data using bottom-k sketches" (PODC 2007) for the factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pruning.compact import fold, put
from pruning.intervals.adjoint import enclose
from pruning.intervals.significance import remove
from pruning.layerwise.bisection import bisect
from pruning.layerwise.guarantee import guarantee
from pruning.layerwise.sensitivity import FAILURE, needed, sensitivities
from pruning.removal.masks import top
from pruning.removal.nodes import constants_of
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.functions.network import Network
from surrogate.standardisation import to_normalised

# Accuracies between which every layer goes from all its nodes to a single one.
LEAST_ACCURACY, LARGEST_ACCURACY = 1e-12, 1e12
# Draws beyond this expect every node whose probability is not rounding noise.
MOST_DRAWS = 1e18

# What the columns of ``count`` nodes are multiplied by, 0 for nodes that go; scores and arrival clocks Exp(1) given.
# Shape: width, width -> width.
NodeChoice = Callable[[Tensor, int, Tensor], Tensor]


def surest(scores: Tensor, count: int, clocks: Tensor) -> Tensor:  # noqa: ARG001
    """The most sensitive nodes, as they are. Shape: width, width -> width."""
    return top(scores, count).to(scores.dtype)


def drawn(scores: Tensor, count: int, clocks: Tensor) -> Tensor:
    """The first nodes to come up, unbiased. Shape: width, width -> width."""
    arrivals = torch.where(scores > 0, clocks / scores, torch.inf)
    kept = top(-arrivals, count)
    later = arrivals[~kept].min() if count < len(scores) else torch.tensor(torch.inf)
    # Once every node that can come up is kept, nothing is random.
    factors = -1.0 / torch.expm1(-scores * later) if later.isfinite() else torch.ones_like(scores)
    return factors.where(kept, 0.0)


def partly_drawn(scores: Tensor, count: int, clocks: Tensor) -> Tensor:
    """Nodes that are expected at least once in the draws that ``count`` takes, and the rest drawn.

    Shape: width, width -> width.
    """
    chances = scores / scores.sum()
    sure = top(scores, min(count, int((chances >= 1.0 / _draws(chances, count)).sum())))
    factors = sure.to(scores.dtype)
    if not sure.all():
        factors[~sure] = drawn(scores[~sure], count - int(sure.sum()), clocks[~sure])
    return factors


def distinct(chances: Tensor, draws: float) -> float:
    """sum_j 1 - (1 - p_j)^m, the expected number of different nodes. Shape: width ->."""
    return float(-torch.expm1(draws * torch.log1p(-chances.clamp(max=1.0))).sum())


def _draws(chances: Tensor, count: int) -> float:
    """m that expects ``count`` different nodes."""
    return bisect(lambda draws: distinct(chances, draws) >= count, MOST_DRAWS, 1.0)[0]


def draws(scores: Tensor, accuracy: float, failure: float = FAILURE) -> float:
    """m(eps) of one layer. Shape: width ->."""
    return float(math.ceil(3.0 * (6.0 + 2.0 * accuracy) * float(needed(scores.sum(), failure)) / accuracy**2))


def counts_at(scores: Sequence[Tensor], accuracy: float) -> list[int]:
    """Nodes that every layer keeps for one accuracy, at least one. Shape: width, per layer ->."""
    return [count_at(layer, accuracy) for layer in scores]


def count_at(scores: Tensor, accuracy: float, failure: float = FAILURE) -> int:
    """Nodes that a layer keeps for an accuracy, at least one. Shape: width ->."""
    total = float(scores.sum())
    expected = distinct(scores / total, draws(scores, accuracy, failure)) if total > 0 else 0.0
    return min(len(scores), max(1, math.ceil(expected)))


def shares_at(scores: Sequence[Tensor], accuracy: float) -> list[int]:
    """The share 1 / (1 + accuracy) of the nodes of every layer, at least one: bisection needs that it falls to 0.

    Shape: width, per layer ->.
    """
    return [max(1, math.ceil(len(layer) / (1.0 + accuracy) - 1e-9)) for layer in scores]


# Nodes of every layer at an accuracy. Shape: width, per layer ->.
Allocation = Callable[[Sequence[Tensor], float], list[int]]


def prune_pfp(network: Network, budget: Budget, evidence: Evidence, *, choice: NodeChoice = surest) -> Cut:
    """Keep what one accuracy for all layers, or one share, leaves of the budget; or what a promise needs.

    A bound is proven where nothing is rescaled.
    """
    normalised = to_normalised(network, evidence.standardisation)
    scores = [layer.amax(dim=0) for layer in sensitivities(normalised, evidence)]
    clocks = [torch.empty_like(layer).exponential_(generator=evidence.generator) for layer in scores]
    alive = [network.weights[0].any(dim=0), *(torch.ones_like(layer, dtype=torch.bool) for layer in scores[1:])]
    first = 1 if evidence.spec.protect_inputs else 0
    enclosure = enclose(network, evidence.box)
    constants = constants_of(network, evidence) or tuple(node.middle for node in enclosure.nodes)

    def factors(counts: Sequence[int]) -> tuple[Tensor, ...]:
        chosen = [lives.to(network.dtype) for lives in alive]
        for layer, count in enumerate(counts, start=first):
            lives = alive[layer]
            chosen[layer][lives] = choice(scores[layer][lives], count, clocks[layer][lives])
        return tuple(chosen)

    def kept(counts: Sequence[int]) -> int:
        if budget.unit == "nodes":
            return sum(counts)
        smaller = rescale(network, factors(counts), constants)
        return size(smaller, budget.unit)

    living = [layer[lives] for layer, lives in zip(scores, alive, strict=True)][first:]
    promised = guarantee(normalised, evidence, sampled=len(living)) if choice is drawn else None
    if promised is None:
        at = shares_at if evidence.spec.allocation == "uniform" else counts_at
        chosen = factors(_allocate(living, kept, budget, at))
    else:
        wanted = zip(living, promised.accuracies[first:], strict=True)
        constants = tuple(torch.zeros_like(layer) for layer in constants)  # the theorem has sums of what is drawn alone
        chosen = factors([count_at(layer, accuracy, promised.failure) for layer, accuracy in wanted])
    if choice is not surest:
        return Cut(network=rescale(network, chosen, constants))
    smaller, bound = remove(network, enclosure, [factor > 0 for factor in chosen], constants)
    return Cut(network=smaller, bound=bound)


def _allocate(
    scores: Sequence[Tensor], kept: Callable[[Sequence[int]], int], budget: Budget, at: Allocation
) -> list[int]:
    """Nodes of every layer within the budget, by bisection on the accuracy.

    The next step of the accuracy may add several nodes: of these the most sensitive are added while they fit.
    """

    def affordable(accuracy: float) -> bool:
        return kept(at(scores, accuracy)) <= budget.count

    coarse, fine = bisect(affordable, LARGEST_ACCURACY, LEAST_ACCURACY)
    counts, ranked = at(scores, coarse), [layer.sort(descending=True).values for layer in scores]
    widest = [len(layer) for layer in scores] if fine == coarse else at(scores, fine)
    while open_layers := [layer for layer, count in enumerate(counts) if count < widest[layer]]:
        layer = max(open_layers, key=lambda layer: float(ranked[layer][counts[layer]]))
        more = [*counts[:layer], counts[layer] + 1, *counts[layer + 1 :]]
        if kept(more) <= budget.count:
            counts = more
        else:
            widest[layer] = counts[layer]
    return counts


def rescale(network: Network, factors: Sequence[Tensor], constants: Sequence[Tensor]) -> Network:
    """h_j -> c_j + f_j (h_j - c_j) for every node; nodes of factor 0 are folded. Shape: (width,), per layer 0..L."""
    smaller = network
    for layer, (factor, constant) in enumerate(zip(factors, constants, strict=True)):
        weight, kept = smaller.weights[layer], factor != 0
        bias = smaller.biases[layer] + weight[:, kept] @ ((1.0 - factor) * constant)[kept]
        scaled = torch.where(kept, weight * factor, weight)
        smaller = replace(smaller, weights=put(smaller.weights, layer, scaled), biases=put(smaller.biases, layer, bias))
        smaller = fold(smaller, layer, kept, constant)
    return smaller
