from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from app.pipeline.flows import learn_flow, likelihoods
from pricing.errors import InvalidSpec
from pricing.specs.sampler import FlowSpec
from surrogate.flows.flow import start_flow
from surrogate.learning.training import silent

SPEC = FlowSpec(hidden=(4,), steps=2, epochs=2)


def test_the_same_seed_gives_the_same_files() -> None:
    table = np.random.default_rng(0).standard_normal((50, 2))
    made = [learn_flow(SPEC, ("a", "b"), table, held_out=0.2, seed=seed, progress=silent) for seed in (3, 3, 4)]
    assert made[0] == made[1]
    assert made[0][0] != made[2][0]
    facts = made[0][1]
    assert (facts.learnt_from, facts.held_out, facts.columns) == (40, 10, ("a", "b"))
    assert facts.weights == (3 * 4 + 4 * 2, 3 * 4 + 4 * 2)


def test_a_flow_that_stands_still_is_the_gaussian() -> None:
    states = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flow = start_flow(states, (3,), "tanh", steps=2, generator=torch.Generator().manual_seed(2))
    for weight, bias in zip(flow.field.weights, flow.field.biases, strict=True):
        weight.zero_()
        bias.zero_()
    nats, gaussian = likelihoods(flow, states, torch.Generator())
    assert nats == pytest.approx(gaussian, rel=1e-12)
    law = MultivariateNormal(states.mean(dim=0), covariance_matrix=torch.cov(states.T, correction=0))
    assert gaussian == pytest.approx(-float(law.log_prob(states).mean()))  # type: ignore[no-untyped-call]


def test_too_few_states_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="leave 1 to learn from"):
        learn_flow(SPEC, ("a",), np.array([[1.0], [2.0]]), held_out=0.5, seed=0, progress=silent)
