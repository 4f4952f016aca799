from __future__ import annotations

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.draws import stream
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array
from surrogate.evaluation.floor import POINTS, noise_floor
from surrogate.reductions.choice import reduce
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import to_canonical

STEP = 1e-5


def problem(*names: str) -> PricingProblem:
    ends = {"spot": (60.0, 140.0), "strike": (90.0, 110.0), "maturity": (0.5, 2.0), "volatility": (10.0, 30.0)}
    features = tuple(Feature(name=name, lower=ends[name][:1], upper=ends[name][1:]) for name in ("spot", *names))
    process = Bachelier(volatilities=(20.0,), correlation=((1.0,),))
    return PricingProblem(process=process, payoff=Call(weights=(1.0,), strike=100.0), maturity=1.0, features=features)


def test_without_scaling_the_noise_has_the_names_of_the_outputs() -> None:
    noise = {"value": 1e-3, "spot": 2e-3, "maturity": 3e-3, "gamma": 4e-3}
    found = noise_floor(noise, problem("maturity"), None, seed=0)
    assert found == {"value": 1e-3, "delta": 2e-3, "theta": 3e-3, "gamma": 4e-3}
    assert noise_floor({"value": 1e-3}, problem("maturity"), None, seed=0) == {"value": 1e-3}


def test_scaled_noise_is_that_of_labels_that_are_scaled() -> None:
    """Labels of U with independent errors at many points, scaled as prices are and differenced."""
    case = problem("strike", "maturity", "volatility")
    reduction = reduce(case)
    assert reduction is not None
    own, x = reduction.canonical.box, case.box.from_uniforms(uniform(case.box.dimension))
    noise = {"value": 1e-3} | {part.name: 2e-3 * (1 + i) for i, part in enumerate(own.features)}
    sizes, generator = np.array([noise[part.name] for part in own.features]), np.random.default_rng(1)
    before, square, moves = to_canonical(reduction, torch.from_numpy(x)), np.zeros(4), STEP * np.eye(4)

    def scaled(points: Array, value: Array, slope: Array) -> Array:
        """The error of the price where that of U is value + slope (u - u0)."""
        t = torch.from_numpy(points)
        u = to_canonical(reduction, t)
        size = evaluate([reduction.amplitude], t)[0][:, 0] / evaluate([reduction.local_amplitude], u)[0][:, 0]
        error: Array = size.numpy() * (value + ((u - before).numpy() * slope).sum(axis=1))
        return error

    for _ in range(40):
        value = noise["value"] * generator.standard_normal(POINTS)
        slope = sizes * generator.standard_normal((POINTS, own.dimension))
        steep = [(scaled(x + move, value, slope) - scaled(x - move, value, slope)) / (2.0 * STEP) for move in moves]
        square += np.mean(np.square(steep), axis=1) / 40
    found = noise_floor(noise, case, reduction, seed=3)
    assert [found[name] for name in ("delta", "strike", "theta", "vega")] == pytest.approx(np.sqrt(square), rel=0.05)
    assert "gamma" not in found


def uniform(dimension: int) -> Array:
    """The points that the floor is measured at."""
    return stream("noise floor", seed=3).random((POINTS, dimension))
