from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from surrogate.dataset import Dataset
from surrogate.evaluation import fresh
from surrogate.evaluation.fresh import by_column, predicted
from surrogate.functions.network import initialise

GENERATOR = torch.Generator().manual_seed(3)
NETWORK = initialise((2, 5, 1), "silu", generator=GENERATOR, dtype=torch.float64)
fresh_errors = partial(fresh.fresh_errors, widths=torch.ones(2, dtype=torch.float64))
X = torch.rand(64, 2, generator=GENERATOR, dtype=torch.float64)


def labels() -> Dataset:
    """What the network itself says."""
    directions = torch.eye(2, dtype=torch.float64).expand(64, 2, 2)
    bare = Dataset(x=X, y=torch.zeros(64, dtype=torch.float64), directions=directions)
    value, gradient, along = predicted(NETWORK, bare)
    assert along is not None
    return replace(bare, y=value, gradient=gradient, curvature=along)


def test_a_network_has_no_error_against_itself() -> None:
    found = fresh_errors(NETWORK, labels(), None, [torch.ones(64, dtype=torch.bool)])
    assert set(found.errors) == {"value", "delta", "gamma", "worst_bucket"}
    assert max(found.errors.values()) < 1e-20
    assert max(found.noise.values()) == 0.0


def test_noise_is_taken_off_but_no_error_is_less_than_it() -> None:
    exact = labels()
    assert exact.gradient is not None
    assert exact.curvature is not None
    error = 0.3 * exact.y.std(correction=0)
    off = replace(exact, y=exact.y + error)
    found = fresh_errors(NETWORK, exact, off, [])
    assert found.noise["value"] == pytest.approx(0.09)
    assert found.errors["value"] == pytest.approx(0.09)
    alternating = torch.where(torch.arange(64) % 2 == 0, 3.0 * error, -3.0 * error)
    wrong = replace(exact, y=exact.y + alternating)
    against = fresh_errors(NETWORK, wrong, replace(wrong, y=wrong.y + error), [])
    blind = fresh_errors(NETWORK, wrong, None, [])
    assert against.errors["value"] == pytest.approx(blind.errors["value"] - against.noise["value"])


def test_the_worst_bucket_is_found() -> None:
    data, low = labels(), X[:, 0] < 0.5
    assert data.curvature is not None
    moved = torch.where(low[:, None, None], data.curvature + 1.0, data.curvature)
    found = fresh_errors(NETWORK, replace(data, curvature=moved), None, [low, ~low])
    assert found.errors["worst_bucket"] > found.errors["gamma"] > 0.0


def test_noise_counts_in_the_bucket_where_it_is() -> None:
    data, low = labels(), X[:, 0] < 0.5
    assert data.curvature is not None
    noisy = replace(data, curvature=torch.where(low[:, None, None], data.curvature + 0.1, data.curvature))
    found = fresh_errors(NETWORK, data, noisy, [low, ~low])
    assert found.errors["worst_bucket"] == found.noise["worst_bucket"] > found.noise["gamma"]


def test_labels_without_derivatives_judge_values_alone() -> None:
    data = labels()
    assert set(fresh_errors(NETWORK, Dataset(x=data.x, y=data.y), None, []).errors) == {"value"}


def test_errors_are_shares_of_the_whole_labels_where_only_a_difference_is_learnt() -> None:
    data = labels()
    half = replace(data, y=data.y + 0.1 * torch.arange(64, dtype=torch.float64).sin())
    assert half.gradient is not None
    assert half.curvature is not None
    ten = replace(half, y=10.0 * half.y, gradient=10.0 * half.gradient, curvature=10.0 * half.curvature)
    own = fresh_errors(NETWORK, half, None, [])
    shared = fresh_errors(NETWORK, half, None, [], whole=ten)
    assert own.errors["value"] > 0.0
    assert {name: 100.0 * error for name, error in shared.errors.items()} == pytest.approx(own.errors)


def test_a_column_that_does_not_vary_has_no_share() -> None:
    flat = torch.ones(4, 1, dtype=torch.float64)
    assert by_column(flat + 1.0, label=flat, whole=flat) == 0.0


def test_curvatures_are_compared_in_units_of_the_box() -> None:
    data = labels()
    assert data.curvature is not None
    wrong = replace(data, curvature=data.curvature + torch.tensor([0.0, 1.0], dtype=torch.float64))
    near, far = (
        fresh.fresh_errors(NETWORK, wrong, None, [], widths=torch.tensor([1.0, width], dtype=torch.float64))
        for width in (1e-3, 1.0)
    )
    assert near.errors["gamma"] < 1e-3 * far.errors["gamma"]
