from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from pricing import conditional
from pricing.analytic import greeks
from pricing.errors import InvalidSpec
from pricing.labels import make_labels
from pricing.spec import Conditional, Draws, LabelSpec, Pathwise, PricingProblem


def test_first_rotated_normal_of_a_basket_is_the_whole_law(seven: PricingProblem, spots: Tensor) -> None:
    """Nothing is left to simulate, so the labels are the closed form with any number of paths."""
    spec = LabelSpec(paths=2, replicates=2, estimator=Conditional(normal="first"))
    labels, exact = make_labels(seven, spots, spec, seed=0), greeks(seven, spots.numpy())
    assert labels.gradient is not None
    assert labels.curvature is not None
    assert labels.directions is not None
    np.testing.assert_allclose(labels.value, exact.value, atol=1e-15)
    np.testing.assert_allclose(labels.gradient, exact.delta, atol=1e-14)
    hv = np.einsum("nij,nkj->nki", exact.gamma, labels.directions.numpy())
    np.testing.assert_allclose(labels.curvature, hv, atol=1e-13)


@pytest.mark.parametrize("normal", ["first", "last"])
def test_unbiased_with_cholesky_order(normal: str, long_short: PricingProblem) -> None:
    estimator = Conditional(normal="first" if normal == "first" else "last")
    x = torch.tensor([[100.0, 90.0, 95.0], [110.0, 80.0, 100.0]], dtype=torch.float64)
    spec = LabelSpec(
        paths=2048,
        replicates=16,
        draws=Draws(source="pseudo", rotation="none"),
        estimator=estimator,
        direction_law="random",
    )
    labels, exact = make_labels(long_short, x, spec, seed=4), greeks(long_short, x.numpy())
    assert labels.directions is not None
    hv = np.einsum("nij,nkj->nki", exact.gamma, labels.directions.numpy())
    for name, truth in (("value", exact.value), ("gradient", exact.delta), ("curvature", hv)):
        label, error = getattr(labels, name).numpy(), getattr(labels, f"{name}_error").numpy()
        assert (np.abs(label - truth) < 4.0 * error).all(), name


def test_integration_lowers_the_variance(seven: PricingProblem, spots: Tensor) -> None:
    """Rao-Blackwell: a conditional expectation on the same normals varies less, at every sample."""
    pathwise = LabelSpec(
        paths=256,
        replicates=64,
        draws=Draws(source="pseudo", rotation="none"),
        estimator=Pathwise(),
        order=1,
    )
    integrated = msgspec.structs.replace(pathwise, estimator=Conditional(normal="first"))
    raw, smooth = (make_labels(seven, spots, spec, seed=1) for spec in (pathwise, integrated))
    assert raw.value_error is not None
    assert smooth.value_error is not None
    assert raw.gradient_error is not None
    assert smooth.gradient_error is not None
    assert (smooth.value_error < raw.value_error).all()
    assert (smooth.gradient_error < raw.gradient_error).all()


def test_without_touches_one_column_only() -> None:
    normals = torch.randn((1, 5, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = normals.clone()
    rest = conditional.without(normals, 1)
    assert torch.equal(normals, before)
    assert (rest[..., 1] == 0.0).all()
    assert torch.equal(rest[..., [0, 2]], before[..., [0, 2]])


def test_a_normal_that_moves_nothing_is_refused(seven: PricingProblem, spots: Tensor) -> None:
    spec = LabelSpec(estimator=Conditional(normal="last"), paths=4)
    with pytest.raises(InvalidSpec, match=r"normal 6 carries .* use normal = 'first'"):
        make_labels(seven, spots, spec, seed=0)
