"""Training from the weights of a network that has learnt something similar."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
import torch
from torch import Tensor

from pricing.domain import Box, Feature
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, value, value_and_gradient
from surrogate.learning.differential_pca import find_axes, lift, restrict
from surrogate.learning.ridge import continued
from surrogate.learning.training import fit, train
from surrogate.learning.warm_start import ROUND, best_start, fit_again, level, moved, rounds, without_inner_biases
from surrogate.spec import LBFGS, LevenbergMarquardt, NetworkSpec, TrainingSpec

SHAPE = NetworkSpec(hidden=(4, 4))
SPEC = TrainingSpec(optimisers=(LevenbergMarquardt(starts=4, short=20, finalists=2, long=120),))
HERE = Box(features=(Feature(name="x", lower=(-1.0, -1.0), upper=(1.0, 1.0)),))
THERE = Box(features=(Feature(name="x", lower=(8.0, 90.0), upper=(12.0, 110.0)),))


def samples(box: Box, *, strength: float = 1.0, size: int = 256) -> Dataset:
    """A smooth function of the place in a Box, with its gradient."""
    x = torch.from_numpy(box.from_uniforms(torch.rand(size, 2, generator=torch.Generator().manual_seed(3)).numpy()))
    x.requires_grad_()
    middle, half = (torch.from_numpy(0.5 * (box.upper + sign * box.lower)) for sign in (1.0, -1.0))
    y = torch.nn.functional.softplus(3.0 * strength * ((x - middle) / half).sum(dim=1))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    return Dataset(x=x.detach(), y=y.detach(), gradient=gradient)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.fixture(scope="module")
def learnt() -> Network:
    return fit(samples(HERE), SHAPE, SPEC, generator=generator()).network


def error(network: Network, data: Dataset) -> float:
    y, gradient = value_and_gradient(network, data.x)
    assert data.gradient is not None
    spread = float(data.y.std())
    return max(
        float((y - data.y).abs().max()) / spread,
        float(((gradient - data.gradient) * data.x.std(dim=0)).abs().max()) / spread,
    )


@pytest.mark.parametrize(
    ("box", "strength"), [(HERE, 1.05), (THERE, 1.05), (HERE, 1.0)], ids=["change", "move", "none"]
)
def test_a_small_change_is_learnt_in_a_few_iterations(learnt: Network, box: Box, strength: float) -> None:
    data = samples(box, strength=strength)
    again = fit_again(learnt, data, SHAPE, SPEC, before=HERE, after=box, generator=generator())
    anew = fit(data, SHAPE, SPEC, generator=generator())
    assert error(again.network, data) < 2.0 * error(anew.network, data)
    iterations = 4 * 20 + 2 * 120
    assert len(again.losses) < iterations / 2


def test_a_moved_network_stands_in_the_other_box_as_it_stood(learnt: Network) -> None:
    data = samples(HERE)
    share = (data.x - torch.from_numpy(HERE.lower)) / torch.from_numpy(HERE.upper - HERE.lower)
    there = torch.from_numpy(THERE.lower) + share * torch.from_numpy(THERE.upper - THERE.lower)
    torch.testing.assert_close(value(moved(learnt, HERE, THERE), there), value(learnt, data.x))


def test_the_level_of_values_is_fitted(learnt: Network) -> None:
    data = samples(HERE)
    shifted = replace(data, y=5.0 + 3.0 * value(learnt, data.x), gradient=None)
    torch.testing.assert_close(value(level(learnt, shifted), data.x), shifted.y)


def test_training_begins_at_the_best_start(learnt: Network) -> None:
    data = samples(HERE)
    poor = replace(learnt, weights=(10.0 * learnt.weights[0], *learnt.weights[1:]))
    assert best_start([poor, learnt], data, SPEC) in (learnt, level(learnt, data))
    best = best_start([poor, learnt], data, SPEC)
    assert error(best, data) < error(poor, data)


def test_what_was_pruned_away_stays_away_and_the_rest_learns(learnt: Network) -> None:
    mask = torch.ones_like(learnt.weights[1], dtype=torch.bool)
    mask[0] = False
    pruned = replace(learnt, weights=(learnt.weights[0], learnt.weights[1] * mask, learnt.weights[2]))
    data = samples(HERE, strength=1.05)
    again = fit_again(pruned, data, SHAPE, SPEC, before=HERE, after=HERE, generator=generator())
    assert torch.equal(again.network.weights[1] == 0.0, ~mask)
    assert error(again.network, data) < 0.1 * error(pruned, data)


def test_a_network_on_axes_starts_from_its_own(learnt: Network) -> None:
    shape, data = msgspec.structs.replace(SHAPE, inputs="differential_pca", axes=1), samples(HERE)
    first = fit(data, shape, SPEC, generator=generator())
    changed = samples(HERE, strength=1.05)
    again = fit_again(first.network, changed, shape, SPEC, before=HERE, after=HERE, generator=generator())
    assert again.axes is not None
    assert len(again.axes) == 1
    assert error(again.network, changed) < 4.0 * error(
        fit(changed, shape, SPEC, generator=generator()).network, changed
    )
    assert len(again.losses) < 160


@pytest.mark.parametrize("hidden", [(4,), (40, 4)])
def test_restricting_undoes_lifting(hidden: tuple[int, ...]) -> None:
    """With the axes put before the first layer, as `lift` does for wide ones, or multiplied into it."""
    data = samples(THERE)
    axes = find_axes(data, NetworkSpec(hidden=hidden, inputs="differential_pca", axes=1))
    inner = initialise((1, *hidden, 1), "silu", generator=generator())
    back = restrict(lift(inner, axes), axes)
    assert back.widths == inner.widths
    for mine, given in zip((*back.weights, *back.biases), (*inner.weights, *inner.biases), strict=True):
        torch.testing.assert_close(mine, given, rtol=1e-9, atol=1e-9)


def test_what_no_activation_follows_has_no_bias(learnt: Network) -> None:
    """As a low-rank method leaves it: the same function with fewer numbers, before training and after it."""
    one = torch.ones(4, 1, dtype=torch.float64)
    low = replace(
        learnt,
        weights=(learnt.weights[0], one.T, one, learnt.weights[2]),
        biases=(learnt.biases[0], one[0], learnt.biases[1], learnt.biases[2]),
        linear=frozenset({2}),
    )
    data = samples(HERE)
    same = without_inner_biases(low)
    torch.testing.assert_close(value(same, data.x), value(low, data.x))
    again = fit_again(low, data, SHAPE, SPEC, before=HERE, after=HERE, generator=generator())
    assert not again.network.biases[1].any()
    assert again.network.parameters == same.parameters


def test_second_order_runs_in_rounds_and_the_rest_at_once() -> None:
    parts = rounds(LevenbergMarquardt(starts=8, short=40, finalists=2, long=300))
    assert len(parts) * ROUND == 340
    assert parts[0] == LevenbergMarquardt(starts=1, short=ROUND - 1, finalists=1, long=1)
    assert rounds(LBFGS()) == list(continued([LBFGS()]))


def test_no_step_back_from_a_network_that_has_learnt_it(learnt: Network) -> None:
    data: Dataset = samples(HERE)
    told: list[float] = []
    again = fit_again(learnt, data, SHAPE, SPEC, before=HERE, after=HERE, generator=generator(), progress=told.append)
    assert again.losses[-1] <= again.losses[0]
    assert told
    assert told == sorted(told)
    once: Tensor = value(train(learnt, data, SPEC, generator=generator()).network, data.x)
    torch.testing.assert_close(value(again.network, data.x), once, rtol=1e-2, atol=1e-3)
