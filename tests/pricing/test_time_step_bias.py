from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.specs.labels import LabelSpec
from pricing.time_step_bias import time_step_bias
from tests.pricing.cases import CALL, CONTINUOUS, PLAIN, STOCHASTIC, doubles, problem_of

SPEC = LabelSpec(paths=1024, replicates=4, order=1)


def test_the_change_is_as_large_as_the_bias_of_few_steps() -> None:
    """Against Fourier, at a mean reversion of 10 on four steps."""
    fast = replace(STOCHASTIC, mean_reversions=(10.0,), variance_volatilities=(0.8,), steps=2)
    problem, x = problem_of(fast, CALL), np.array([[90.0], [100.0], [110.0]])
    found = time_step_bias(problem, torch.from_numpy(x), SPEC, seed=1)
    assert found is not None
    assert found["steps"] == 2.0
    labels, right = make_labels(problem, torch.from_numpy(x), SPEC, seed=1), reference(problem, x)
    assert labels.gradient is not None
    bias = {
        "value": np.abs(labels.value.numpy() - right.value).max(),
        "delta": np.abs(labels.gradient.numpy() - right.gradient).max(),
    }
    for name, error in bias.items():
        assert 0.3 * error < found[name] < 2.0 * error


def test_values_alone_have_no_delta_to_change() -> None:
    found = time_step_bias(problem_of(STOCHASTIC, CALL), doubles([[100.0]]), replace(SPEC, order=0), seed=1)
    assert found is not None
    assert found.keys() == {"steps", "value"}


@pytest.mark.parametrize("payoff", [CALL, CONTINUOUS])
def test_exact_steps_have_none(payoff: object) -> None:
    assert time_step_bias(problem_of(PLAIN, payoff), doubles([[100.0]]), SPEC, seed=1) is None  # type: ignore[arg-type]


def test_the_same_seed_says_the_same() -> None:
    problem, x = problem_of(STOCHASTIC, CONTINUOUS), doubles([[95.0], [120.0]])
    first, again, other = (time_step_bias(problem, x, SPEC, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
