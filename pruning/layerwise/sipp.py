"""SiPP: weights kept by sensitivity, the surest first, or drawn at random and rescaled.

The weights of one row and sign are an urn. N draws with replacement and probabilities p_j = s_j / S, n_j of them of
weight j, leave w^_j = w_j n_j / (m p_j). N = floor(m + u), u uniform on [0, 1) and drawn beforehand, so that E N = m
and E w^_j = w_j for every m > 0 and s_j > 0: an urn of m < 1 has one draw with probability m, scaled by 1 / m, and none
otherwise. For a whole m, with probability 1 - delta the sum is right to a share

    err(m) = (a/(3m) + sqrt((a/(3m))^2 + 2a/m)) / 2,    a = 2 C log(16 / delta) S,

while keeping the m most sensitive weights as they are is right to C sum over the others of s_j. Draws are allotted to
minimise sum_l (1 / rows of layer l) sum_i err(m_i) for a given total of draws. As err^2 = err u / 3 + u / 2 with
u = a / m, the multiplier of the total gives every m in closed form up to one cubic, y = 1 / err:

    y^3 + y^2 / 3 = 1 / (a lambda rows_l),    m = a (y / 3 + y^2 / 2).

What is unbiased is every weight in an urn (those that some sample feels) and so, over given inputs, their sums: for
given m, that is for a given lambda. Not for a budget: lambda is then the one at which the weights that chance has left
are few enough, which conditions on them. Nor is a layer that chance has left empty and that keeps its most sensitive
weight, nor the output, which is not linear in the sums.

References: Baykal, Liebenwein, Gilitschenski, Feldman & Rus, "Sensitivity-informed provable pruning of neural
networks" (SIAM J. Math. Data Sci. 2022). The closed form is ours; theirs is a convex program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.layerwise.bisection import bisect
from pruning.layerwise.guarantee import guarantee
from pruning.layerwise.sensitivity import SPREAD, needed, sensitivities
from pruning.removal.masks import masks_of
from pruning.removal.weights import felt
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network
from surrogate.standardisation import to_normalised

# Newton's method on a convex cubic from above: quadratic from a start within a factor 1.5.
NEWTON_STEPS = 8
# Multipliers from far below, where every urn is kept whole, to far above, where nothing is drawn.
LEAST_MULTIPLIER, LARGEST_MULTIPLIER = 1e-30, 1e30
# Keeps y from under- and overflow; urns beyond it are kept whole, or empty, all the same.
LEAST_TARGET = 1e-60


def random_error(draws: Tensor, scale: Tensor) -> Tensor:
    """err(m) for a = ``scale``. Shape: urn, urn -> urn."""
    u = scale / draws
    return 0.5 * (u / 3.0 + torch.sqrt((u / 3.0) ** 2 + 2.0 * u))


def enough_draws(total: Tensor, accuracy: float, failure: float) -> Tensor:
    """The m for which err(m) is an accuracy: a (1 / (3 eps) + 1 / (2 eps^2)). Shape: urn -> urn."""
    return needed(total, failure) * (1.0 / (3.0 * accuracy) + 0.5 / accuracy**2)


def best_draws(multiplier: float, scale: Tensor, price: Tensor) -> Tensor:
    """The m > 0 that minimise sum_i price_i err(m_i) + multiplier m_i. Shape: urn, urn -> urn."""
    target = torch.where(scale > 0, price / (scale * multiplier), 0.0).clamp(LEAST_TARGET, 1.0 / LEAST_TARGET)
    y = torch.minimum(target ** (1.0 / 3.0), (3.0 * target).sqrt())
    for _ in range(NEWTON_STEPS):
        y = y - (y**3 + y**2 / 3.0 - target) / (3.0 * y**2 + 2.0 * y / 3.0)
    return scale * (y / 3.0 + y**2 / 2.0)


@dataclass(frozen=True, kw_only=True)
class Urns:
    """The weights of a layer by row and sign, with as many draws as a row has weights, made once.

    Any number of draws takes the first of them, so that more draws never keep fewer weights.

    Shape: sensitivity (urn, in), 0 where the weight is not in the urn; drawn (urn, draw), the weight of every draw;
    rank (urn, in), 0 the most sensitive; chance (urn,), uniform on [0, 1), what rounds the number of draws.
    """

    sensitivity: Tensor
    drawn: Tensor
    rank: Tensor
    chance: Tensor

    @property
    def total(self) -> Tensor:
        """S. Shape: -> urn."""
        return self.sensitivity.sum(dim=1)

    def factors(self, draws: Tensor, *, hybrid: bool) -> Tensor:
        """What every weight is multiplied by, 0 where it goes; an urn with a draw for each of its weights stays whole.

        Args:
            draws: m, any real number >= 0; the mean of the factors is 1 for every m > 0.
            hybrid: an urn whose error bound is less without chance keeps its most sensitive weights.

        Shape: urn -> urn in.
        """
        full = (self.sensitivity > 0).to(self.sensitivity.dtype)
        made = (draws + self.chance).floor()
        position = torch.arange(self.drawn.shape[1], dtype=draws.dtype)
        counts = torch.zeros_like(full).scatter_add(1, self.drawn, (position < made[:, None]).to(full.dtype))
        expected = draws[:, None] * self.sensitivity / self.total[:, None]
        factors = torch.where(counts > 0, counts / expected, 0.0)
        if hybrid:
            sure = self.rank < made[:, None]
            better = kept_error(self.sensitivity, sure) <= random_error(draws, needed(self.total))
            factors = torch.where(better[:, None], full * sure, factors)
        return torch.where((draws >= full.sum(dim=1))[:, None], full, factors)


def kept_error(sensitivity: Tensor, kept: Tensor) -> Tensor:
    """C sum of s over what is not kept: bounds the missing share of a sum. Shape: urn in, urn in -> urn."""
    return SPREAD * sensitivity.where(~kept, 0.0).sum(dim=1)


def fill(sensitivity: Tensor, generator: torch.Generator) -> Urns:
    """Urns with their draws. Shape: urn in ->."""
    # An urn without weights draws anything; it has no draws that count.
    chances = sensitivity.where(sensitivity.any(dim=1, keepdim=True), 1.0)
    drawn = torch.multinomial(chances, sensitivity.shape[1], replacement=True, generator=generator)
    rank = torch.argsort(torch.argsort(sensitivity, dim=1, descending=True, stable=True), dim=1)
    chance = torch.rand(len(sensitivity), generator=generator, dtype=sensitivity.dtype)
    return Urns(sensitivity=sensitivity, drawn=drawn, rank=rank, chance=chance)


def prune_sipp(network: Network, budget: Budget, evidence: Evidence, *, hybrid: bool = False) -> Cut:
    """Draw weights at random, as many as keep at most the budget, or keep a promise; one a layer stays."""
    normalised = to_normalised(network, evidence.standardisation)
    alive = [mask & live for mask, live in zip(masks_of(network), felt(normalised, evidence.dataset), strict=True)]
    scores = sensitivities(normalised, evidence)
    urns = [
        fill(torch.cat([score * (kept & (weight > 0)), score * (kept & (weight < 0))]), evidence.generator)
        for score, kept, weight in zip(scores, alive, network.weights, strict=True)
    ]

    def drawn(draws: Sequence[Tensor]) -> list[Tensor]:
        layers = []
        for layer, count, weight, score in zip(urns, draws, network.weights, scores, strict=True):
            positive, negative = layer.factors(count, hybrid=hybrid).chunk(2)
            layers.append(_never_empty(positive + negative, score, weight != 0))
        return layers

    def factors(multiplier: float) -> list[Tensor]:
        draws = []
        for layer, weight in zip(urns, network.weights, strict=True):
            price = torch.full_like(layer.total, 1.0 / len(weight))
            draws.append(best_draws(multiplier, needed(layer.total), price))
        return drawn(draws)

    def affordable(multiplier: float) -> bool:
        return _kept(factors(multiplier)) <= budget.count

    promised = None if hybrid else guarantee(normalised, evidence, sampled=len(network.weights))
    if promised is None:
        least, _ = bisect(affordable, LARGEST_MULTIPLIER, LEAST_MULTIPLIER)
        chosen = factors(least)
    else:
        wanted = zip(urns, promised.accuracies, strict=True)
        chosen = drawn([enough_draws(layer.total, accuracy, promised.failure) for layer, accuracy in wanted])
    weights = (weight * factor for weight, factor in zip(network.weights, chosen, strict=True))
    return Cut(network=replace(network, weights=tuple(weights)))


def _never_empty(factors: Tensor, scores: Tensor, alive: Tensor) -> Tensor:
    """A layer without any weight keeps its most sensitive living one. Shape: out in, each -> same."""
    if not factors.any():
        factors.view(-1)[scores.where(alive, -1.0).argmax()] = 1.0
    return factors


def _kept(factors: Sequence[Tensor]) -> int:
    """Number of weights that stay."""
    return int(sum(torch.count_nonzero(factor) for factor in factors))
