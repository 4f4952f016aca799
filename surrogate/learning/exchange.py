"""Labels of assets that have changed places: V(P x) = V(x), so that P takes the derivatives along.

A sample of n like assets stands for n! of them. A network that learns from several is nearly symmetric, which labels
alone do not make it, and what is noise in them is averaged.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricing.draws import stream
from pricing.labels import Labels
from pricing.specs.exchange import Groups, copies, like_assets, per_asset
from pricing.specs.problem import PricingProblem


def exchanged(labels: Labels, problem: PricingProblem, *, seed: int) -> Labels:
    """The labels, and as many times again with like assets in other places (`pricing.specs.exchange.copies`).

    Shape: features batch feature -> (copies batch) feature.
    """
    samples = len(labels.features)
    count = copies(problem, samples)
    if count == 1:
        return labels
    places = arrangements(like_assets(problem), problem.process.assets, samples, count, seed=seed)
    columns = np.broadcast_to(np.arange(problem.box.dimension), (count, samples, problem.box.dimension)).copy()
    for name in per_asset(problem):
        spread = problem.box.columns(name)
        columns[..., spread] = spread.start + places
    index = torch.from_numpy(columns)

    def again(part: Tensor) -> Tensor:
        """Shape: batch -> (copies batch)."""
        return part.repeat(count)

    def moved(part: Tensor) -> Tensor:
        """Shape: batch feature, or batch direction feature -> (copies batch) ..."""
        places = index if part.ndim == 2 else index[:, :, None, :].expand(count, *part.shape)
        return part.expand(count, *part.shape).gather(-1, places).flatten(0, 1)

    return replace(
        labels,
        features=moved(labels.features),
        value=again(labels.value),
        gradient=None if labels.gradient is None else moved(labels.gradient),
        directions=None if labels.directions is None else moved(labels.directions),
        curvature=None if labels.curvature is None else moved(labels.curvature),
        value_error=None if labels.value_error is None else again(labels.value_error),
        gradient_error=None if labels.gradient_error is None else moved(labels.gradient_error),
        curvature_error=None if labels.curvature_error is None else moved(labels.curvature_error),
    )


def arrangements(groups: Groups, assets: int, samples: int, count: int, *, seed: int) -> NDArray[np.int64]:
    """Which asset stands where: all that there are where that is the count, else the given one and random others.

    Shape: -> count sample asset.
    """
    places = np.broadcast_to(np.arange(assets, dtype=np.int64), (count, samples, assets)).copy()
    if count == math.prod(math.factorial(len(group)) for group in groups):
        for k, choice in enumerate(product(*(permutations(group) for group in groups))):
            for group, order in zip(groups, choice, strict=True):
                places[k][:, list(group)] = order
        return places
    rng = stream("exchange", seed=seed)
    for group in groups:
        places[1:, :, list(group)] = rng.permuted(places[1:, :, list(group)], axis=-1)
    return places
