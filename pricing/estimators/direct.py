"""The payoff on simulated paths, sharp (pathwise) or with smooth kinks and jumps."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pricing.estimators.contribution import Contribution
from pricing.estimators.control import excess
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import SHARP, Edges, Recorder, Smooth, cash, moneyness
from pricing.simulation.rotation import Rotation
from pricing.simulation.scenario import Scenario, times
from pricing.simulation.smoothing import stated_bias
from pricing.specs.choice import require_estimator
from pricing.specs.estimator import Pathwise, Smoothed
from pricing.specs.problem import PricingProblem

# All normals of the paths that widths are measured on where the path of zeros does not move.
ELSEWHERE = (-4.0, -2.0, -1.0, 1.0, 2.0, 4.0)


def contribution(problem: PricingProblem, estimator: Pathwise | Smoothed) -> Contribution:
    """Discounted cash on the paths.

    Raises:
        InvalidSpec: a payoff that the assets at its dates do not decide, or a control variate that the problem has not.
    """
    require_estimator(problem, estimator)
    sizes = blocks(problem.process, len(problem.payoff.facts.dates))
    return Contribution(
        value=partial(sharp, estimator, problem)
        if isinstance(estimator, Pathwise)
        else partial(smooth, estimator, problem),
        pilot=partial(pilot, problem),
        blocks=sizes,
        numbers=sum(sizes),
    )


def discounted(problem: PricingProblem, at: Scenario, normals: Tensor, edges: Edges = SHARP) -> Tensor:
    """D cash. Shape: normals 1-or-batch path dimension -> batch path."""
    paths = simulate(problem.process, at, normals, times(problem, at))
    return paths.discount[..., -1] * cash(problem.payoff, paths, at, edges)


def pilot(problem: PricingProblem, at: Scenario, normals: Tensor) -> Tensor:
    """The payoff, or of one that is flat but for a jump the ramp of its event. Shape: as `discounted`."""
    if not problem.payoff.facts.flat:
        return discounted(problem, at, normals)
    return torch.relu(moneyness(problem.payoff, simulate(problem.process, at, normals, times(problem, at)), at))


def sharp(estimator: Pathwise, problem: PricingProblem, at: Scenario, normals: Tensor, rotation: Rotation) -> Tensor:
    """The payoff as it is, less its control variate. Shape: as `discounted`."""
    paths = simulate(problem.process, at, rotation(normals), times(problem, at))
    paid = cash(problem.payoff, paths, at)
    if estimator.control == "geometric":
        paid = paid - excess(problem, at, paths)
    return paths.discount[..., -1] * paid


def smooth(estimator: Smoothed, problem: PricingProblem, at: Scenario, normals: Tensor, rotation: Rotation) -> Tensor:
    """Every event with a kernel as wide as the same share of its own standard deviation. Shape: as `discounted`."""
    share = stated_bias(estimator)["width"]
    widths = iter([share * deviation for deviation in deviations(problem, at, normals.shape[-1])])
    return discounted(problem, at, rotation(normals), Smooth(kernel=estimator.kernel, widths=widths))


def deviations(problem: PricingProblem, at: Scenario, dimension: int) -> list[Tensor]:
    """First-order standard deviation of every event of the payoff, held constant.

    On the path of zero normals; where nothing moves there, as where a dividend in cash has taken the asset, the least
    of those `ELSEWHERE`: without a width a jump would have no derivative.

    Shape: -> each batch 1.
    """
    found = recorded(problem, at.detach(), torch.zeros(1, dimension, dtype=torch.float64))
    if all(bool((deviation > 0.0).all()) for deviation in found):
        return found
    places = torch.tensor(ELSEWHERE, dtype=torch.float64)[:, None].expand(-1, dimension)
    others = [deviation.where(deviation > 0.0, torch.inf) for deviation in recorded(problem, at.detach(), places)]
    least = [deviation.amin(dim=1, keepdim=True).nan_to_num(posinf=0.0) for deviation in others]
    return [here.where(here > 0.0, there) for here, there in zip(found, least, strict=True)]


def recorded(problem: PricingProblem, at: Scenario, places: Tensor) -> list[Tensor]:
    """The deviations as they are at these normals. Shape: places path dimension -> each batch path."""
    normals = places.expand(len(at["spot"]), -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        recorder = Recorder(normals=normals, deviations=[])
        discounted(problem, at, normals, recorder)
    return recorder.deviations
