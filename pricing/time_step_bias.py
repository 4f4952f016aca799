"""What twice the time steps change in labels, measured on a few samples: the bias of a grid, as far as it shows.

The same paths on both grids (`pricing.estimators.coarser`), so that a few of them tell. The bias of a scheme of first
order is twice the change, that of one of second order four thirds of it.
"""

from __future__ import annotations

from dataclasses import replace as replaced

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.draws import stream
from pricing.estimators.coarser import coarser, doubled
from pricing.labels import LABELS, derivatives
from pricing.monte_carlo import Expectation, prepare, replicate
from pricing.simulation.rotation import identity
from pricing.specs.choice import settle
from pricing.specs.draws import Draws
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.time_steps import gridded

# Samples that are looked at, and paths of each.
SAMPLES, PATHS = 8, 1 << 11


def time_step_bias(problem: PricingProblem, features: Tensor, spec: LabelSpec, *, seed: int) -> dict[str, float] | None:
    """``steps`` of the labels, and the largest change of ``value`` and ``delta`` by twice as many; None without bias.

    Args:
        features: samples that some are taken from, evenly. Shape: batch feature.
    """
    own = int(stream("time steps", seed=seed).integers(1 << 62))
    rows = torch.from_numpy(np.unique(np.linspace(0, len(features) - 1, SAMPLES).astype(int)))
    x, order = features[rows], min(spec.order, 1)
    finer, estimator = doubled(problem, settle(problem, spec.estimator))
    if (coarse := coarser(finer, estimator, seed=seed)) is None:
        return None
    few = replace(spec, paths=min(spec.paths, PATHS), draws=Draws(rotation="none"), estimator=estimator, order=order)
    fine = prepare(finer, x, few, seed=seed)

    def measure(expectation: Expectation, part: slice) -> tuple[Tensor, ...]:
        return derivatives(expectation, x[part], order=order, directions=None)

    same = replaced(fine, contribution=coarse, rotation=identity(coarse.blocks))
    both = [replicate(simulation, len(x), measure, index=0, seed=own) for simulation in (fine, same)]
    changes = {name: float((one - other).abs().max()) for name, one, other in zip(LABELS, *both, strict=False)}
    names = {"value": "value", "gradient": "delta"}
    grid = gridded(problem).process.facts.grid
    steps = {} if grid is None else {"steps": float(grid)}
    return {**steps, **{names[name]: change for name, change in changes.items()}}
