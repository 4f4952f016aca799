from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pricing.errors import InvalidSpec
from surrogate.dataset import Dataset
from surrogate.errors import SurrogateError
from surrogate.functions.network import Network, initialise, value_and_gradient, value_gradient_hessian
from surrogate.learning.differential_pca import find_axes, lift, project
from surrogate.learning.training import draw, fit
from surrogate.spec import LBFGS, LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

PCA = NetworkSpec(inputs="differential_pca", hidden=(4, 3))
FEATURES = 12


def labelled(network: Network, generator: torch.Generator, samples: int = 256) -> Dataset:
    x = torch.randn(samples, FEATURES, generator=generator, dtype=torch.float64)
    y, gradient, hessian = value_gradient_hessian(network, x)
    directions = torch.randn(samples, 2, FEATURES, generator=generator, dtype=torch.float64)
    return Dataset(x=x, y=y, gradient=gradient, directions=directions, curvature=directions @ hessian)


def ridge_function(rank: int, generator: torch.Generator) -> Network:
    """A function of ``rank`` linear combinations of the features."""
    inner = initialise((rank, 4, 3, 1), "silu", generator=generator)
    mix = torch.randn(rank, FEATURES, generator=generator, dtype=torch.float64)
    return replace(inner, weights=(inner.weights[0] @ mix, *inner.weights[1:]))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_as_many_axes_are_found_as_the_function_has(rank: int, generator: torch.Generator) -> None:
    data = labelled(ridge_function(rank, generator), generator)
    axes = find_axes(data, PCA)
    assert len(axes) == rank
    assert axes.lost_gradient < 1e-12
    assert axes.lost_value < 1e-12
    assert len(find_axes(data, NetworkSpec(inputs="differential_pca", axes=5))) == 5


def test_columns_are_orthonormal_and_every_delta_has_the_same_size(dataset: Dataset) -> None:
    axes = find_axes(dataset, NetworkSpec(inputs="differential_pca", axes=3))
    torch.testing.assert_close(axes.matrix.T @ axes.matrix, torch.eye(3, dtype=torch.float64))
    reduced = project(dataset, axes)
    assert reduced.gradient is not None
    moments = reduced.gradient.T @ reduced.gradient / len(dataset)
    assert (moments.diagonal().diff() <= 0.0).all()
    torch.testing.assert_close(moments, torch.diag(moments.diagonal()), rtol=0.0, atol=1e-12)
    torch.testing.assert_close(moments.trace(), torch.tensor(3.0, dtype=torch.float64))


@pytest.mark.parametrize(("hidden", "factored"), [((4, 3), True), ((1, 2), False)])
def test_projected_labels_are_derivatives_by_the_axes_and_lift_undoes_it(
    hidden: tuple[int, ...], factored: bool, generator: torch.Generator
) -> None:
    """A network on the axes, lifted: labels of the lifted one, projected, are the first one's own."""
    data = labelled(ridge_function(2, generator), generator)
    axes = find_axes(data, PCA)
    network = initialise((2, *hidden, 1), "silu", generator=generator)
    whole = lift(network, axes)
    assert (whole.linear == {1}) == factored
    y, gradient, hessian = value_gradient_hessian(whole, data.x)
    assert data.directions is not None
    moved = replace(data, y=y, gradient=gradient, curvature=data.directions @ hessian)
    seen = project(moved, axes)
    expected = value_gradient_hessian(network, seen.x)
    assert seen.directions is not None
    for got, truth in (
        (seen.y, expected[0]),
        (seen.gradient, expected[1]),
        (seen.curvature, seen.directions @ expected[2]),
    ):
        torch.testing.assert_close(got, truth, rtol=1e-10, atol=1e-12)


def test_the_share_lost_is_what_the_axes_leave_of_the_deltas(generator: torch.Generator) -> None:
    data = labelled(ridge_function(3, generator), generator)
    axes = find_axes(data, NetworkSpec(inputs="differential_pca", axes=2))
    reduced = project(data, axes).gradient
    assert reduced is not None
    assert axes.lost_gradient == pytest.approx(1.0 - float(reduced.square().sum(dim=1).mean()) / FEATURES)
    assert len(find_axes(data, replace_lost(axes.lost_gradient * 1.001))) == 2
    assert len(find_axes(data, replace_lost(axes.lost_gradient * 0.999))) == 3


def replace_lost(share: float) -> NetworkSpec:
    return NetworkSpec(inputs="differential_pca", lost_gradient=share)


def test_bound_on_the_value_holds_and_is_met_by_a_linear_function(generator: torch.Generator) -> None:
    """Normal features: what no function of the axes can explain is at most the bound, for a straight line exactly it.

    One axis is asked for, which sees the mean of f given it; that mean is estimated by the linear regression of f.
    """
    x = torch.randn(1 << 15, 2, generator=generator, dtype=torch.float64)
    bent = Dataset(
        x=x,
        y=x[:, 0] + 0.3 * torch.sin(2.0 * x[:, 1]),
        gradient=torch.stack([torch.ones(len(x)).double(), 0.6 * torch.cos(2.0 * x[:, 1])], dim=1),
    )
    axes = find_axes(bent, NetworkSpec(inputs="differential_pca", axes=1))
    u = project(bent, axes).x[:, 0]
    rows = torch.stack([u**p for p in range(6)], dim=1)
    left = bent.y - rows @ torch.linalg.lstsq(rows, bent.y[:, None]).solution[:, 0]
    assert 0.0 < float(left.var() / bent.y.var()) <= axes.lost_value


@pytest.mark.parametrize("order", [1, 2])
def test_training_on_the_axes_is_training_on_the_features(order: int, generator: torch.Generator) -> None:
    """A basket's price is a function of one combination: the teacher is found, in raw units."""
    teacher = ridge_function(1, generator)
    data = labelled(teacher, generator)
    optimiser = LevenbergMarquardt(starts=6, short=30, finalists=1, long=100)
    spec = TrainingSpec(loss=SobolevLoss(order=1 if order == 1 else 2), optimisers=(optimiser,))
    trained = fit(data, PCA, spec, generator=generator)
    assert trained.axes is not None
    assert len(trained.axes) == 1
    between = 0.7 * data.x  # new points where the samples are dense
    for found, truth in zip(
        value_and_gradient(trained.network, between), value_and_gradient(teacher, between), strict=True
    ):
        assert float((found - truth).square().mean() / truth.square().mean()) < 1e-5


def test_axes_beat_all_features_at_equal_budget(generator: torch.Generator) -> None:
    """From few noisy labels, the deltas of fresh samples: for every seed the axes do better."""
    teacher = ridge_function(1, generator)
    fresh = labelled(teacher, torch.Generator().manual_seed(9))
    assert fresh.gradient is not None
    for seed in range(3):
        noise = torch.Generator().manual_seed(seed)
        data = labelled(teacher, noise, samples=64)
        assert data.gradient is not None
        jump = 1.0 + 0.5 * torch.randn(64, 1, generator=noise, dtype=torch.float64)
        data = Dataset(x=data.x, y=data.y, gradient=data.gradient * jump)
        errors = []
        for network in (PCA, NetworkSpec(hidden=PCA.hidden)):
            spec = TrainingSpec(optimisers=(LBFGS(iterations=60),))
            trained = fit(data, network, spec, generator=torch.Generator().manual_seed(seed))
            errors.append(float((value_and_gradient(trained.network, fresh.x)[1] - fresh.gradient).norm()))
        assert errors[0] < errors[1]


def test_the_network_drawn_has_the_shape_of_the_one_trained(generator: torch.Generator) -> None:
    data = labelled(ridge_function(2, generator), generator)
    spec = TrainingSpec(optimisers=(LBFGS(iterations=1),))
    trained = fit(data, PCA, spec, generator=torch.Generator().manual_seed(1)).network
    drawn = draw(data, PCA, generator=torch.Generator().manual_seed(1))
    assert (drawn.widths, drawn.linear) == (trained.widths, trained.linear)


def test_features_without_influence_do_no_harm(generator: torch.Generator) -> None:
    """Neither a delta that is always 0 nor a value that is constant leaves NaN."""
    x = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    slope = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(64, -1)
    assert len(find_axes(Dataset(x=x, y=x[:, 0], gradient=slope), PCA)) == 1
    still = find_axes(Dataset(x=x, y=torch.ones(64).double(), gradient=torch.zeros_like(x)), PCA)
    assert len(still) == 1
    assert (still.lost_gradient, still.lost_value) == (0.0, 0.0)


def test_what_is_missing_is_named(dataset: Dataset) -> None:
    with pytest.raises(SurrogateError, match="labels of order 1"):
        find_axes(Dataset(x=dataset.x, y=dataset.y), PCA)
    with pytest.raises(InvalidSpec, match="at most 3"):
        find_axes(dataset, NetworkSpec(inputs="differential_pca", axes=4))
