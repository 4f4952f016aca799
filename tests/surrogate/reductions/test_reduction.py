from __future__ import annotations

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from surrogate.dataset import Dataset
from surrogate.functions.network import hessian_vector, initialise, value
from surrogate.reductions.choice import reduce
from surrogate.reductions.expressions import evaluate, network
from surrogate.reductions.reduction import to_network

FEATURES = (
    Feature(name="spot", lower=(0.7, 0.7), upper=(1.4, 1.4)),
    Feature(name="strike", lower=(0.8,), upper=(1.2,)),
    Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,), unit="1"),
    Feature(name="maturity", lower=(0.1,), upper=(2.0,), unit="years"),
)
PAIR = ((1.0, 0.4), (0.4, 1.0))


@pytest.mark.parametrize("order", [0, 1, 2])
def test_labels_of_the_canonical_problem_become_those_of_the_network(order: int) -> None:
    """From a known h the canonical value and its derivatives by autograd, and back."""
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=PAIR)
    problem = PricingProblem(
        process=process, payoff=Call(weights=(0.6, 0.4), strike=1.0), maturity=1.0, features=FEATURES
    )
    reduction = reduce(problem, controlled=False)
    assert reduction is not None
    generator = torch.Generator().manual_seed(3)
    h = initialise((3, 4, 1), "silu", generator=generator)
    x = torch.from_numpy(reduction.canonical.box.from_uniforms(np.random.default_rng(4).random((30, 3))))
    x.requires_grad_()
    canonical = reduction.local_amplitude * network(reduction.local_inputs)
    y = evaluate([canonical], x, lambda z: value(h, z))[0][:, 0]
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    directions = torch.randn(30, 2, 3, generator=generator, dtype=torch.float64)
    curvature = [torch.autograd.grad((gradient * v).sum(), x, retain_graph=True)[0] for v in directions.unbind(1)]
    labels = Dataset(
        x=x.detach(),
        y=y.detach(),
        gradient=gradient.detach() if order > 0 else None,
        directions=directions if order > 1 else None,
        curvature=torch.stack(curvature, 1) if order > 1 else None,
    )
    found = to_network(reduction, labels)
    torch.testing.assert_close(found.y, value(h, found.x))
    if order > 1:
        assert found.directions is not None
        want = hessian_vector(h, found.x, found.directions)
        torch.testing.assert_close(found.curvature, want[2], rtol=1e-8, atol=1e-10)
    if order > 0:
        torch.testing.assert_close(found.gradient, hessian_vector(h, found.x, directions)[1], rtol=1e-9, atol=1e-11)


def test_labels_of_a_problem_in_the_network_s_own_inputs_stay_as_they_are() -> None:
    process = Bachelier(volatilities=(0.2, 0.3), correlation=PAIR)
    problem = PricingProblem(
        process=process, payoff=Call(weights=(0.6, 0.4), strike=1.0), maturity=1.0, features=FEATURES
    )
    reduction = reduce(problem)
    assert reduction is not None
    labels = Dataset(x=torch.zeros(2, 2, dtype=torch.float64), y=torch.ones(2, dtype=torch.float64))
    assert to_network(reduction, labels) is labels
