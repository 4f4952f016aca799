from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch

from pricing.domain import Box, Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.export.onnx_reader import read_surrogate
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.polynomial import PolynomialSurrogate, value_gradient_hessian
from surrogate.reductions.choice import reduce
from surrogate.runtime import open_session

Cube = Callable[[int], Box]
# One feature; one axis of one degree after the other; all features; few axes of many features, long way out.
SHAPES = [(1, 1, 2), (1, 1, 9), (7, 1, 2), (7, 1, 3), (7, 1, 24), (3, 3, 2), (4, 4, 5), (7, 3, 6), (40, 12, 2)]


def drawn(features: int, axes: int, degree: int, generator: torch.Generator) -> PolynomialSurrogate:
    """Coordinates of about one standard deviation on the cube, coefficients that a smooth function has."""
    matrix = torch.randn(features, axes, generator=generator, dtype=torch.float64)
    matrix = matrix / (0.7 * matrix.abs().sum(dim=0) / 2.0)
    surrogate = PolynomialSurrogate(
        matrix=matrix, offset=-matrix.sum(dim=0), degree=degree, coefficients=torch.zeros(0, dtype=torch.float64)
    )
    powers = surrogate.inner.basis.exponents.sum(dim=1).double()
    numbers = torch.randn(len(powers), generator=generator, dtype=torch.float64)
    return PolynomialSurrogate(
        matrix=matrix, offset=surrogate.offset, degree=degree, coefficients=numbers * 0.5**powers
    )


@pytest.mark.parametrize(("features", "axes", "degree"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_graph_and_polynomial_agree_and_the_file_is_read_back(
    features: int, axes: int, degree: int, dtype: torch.dtype, generator: torch.Generator, cube: Cube
) -> None:
    surrogate = drawn(features, axes, degree, generator)
    model = to_onnx(surrogate, box=cube(features), metadata={}, dtype=dtype)
    assert set(check_parity(model, surrogate, cube(features))) == {"value", "delta", "gamma"}
    again, rounded = read_surrogate(model), surrogate.to(dtype)
    assert isinstance(again, PolynomialSurrogate)
    for part in ("matrix", "offset", "coefficients"):
        assert torch.equal(getattr(again, part), getattr(rounded, part))
    if dtype == torch.float64:
        assert to_onnx(again, box=cube(features), metadata={}) == model


def test_only_plain_operators_are_used(generator: torch.Generator, cube: Cube) -> None:
    model = onnx.load_from_string(to_onnx(drawn(7, 3, 5, generator), box=cube(7), metadata={}))
    assert {node.domain for node in model.graph.node} == {""}
    operators = {node.op_type for node in model.graph.node}
    assert operators <= {"Gemm", "Min", "Max", "Mul", "Sub", "Div", "Concat", "Gather", "Slice", "MatMul", "Reshape"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_greek_of_a_scaled_price_comes_from_the_polynomial(
    dtype: torch.dtype, generator: torch.Generator
) -> None:
    """Far from the money and near expiry too, where the asymptote speaks and the polynomial must not be heard."""
    problem = PricingProblem(
        process=Bachelier(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0))),
        payoff=Call(weights=(0.5, 0.5), strike=1.0),
        maturity=1.0,
        features=(
            Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5)),
            Feature(name="strike", lower=(0.8,), upper=(1.2,)),
            Feature(name="maturity", lower=(0.0,), upper=(2.0,), unit="years"),
        ),
    )
    reduction = reduce(problem)
    assert reduction is not None
    inner = drawn(2, 1, 9, generator)
    wide = PolynomialSurrogate(
        matrix=inner.matrix / 4.0, offset=0.0 * inner.offset, degree=9, coefficients=inner.coefficients
    )
    model = to_onnx(wide, box=problem.box, metadata={}, reduction=reduction, dtype=dtype)
    if dtype == torch.float64:
        check_parity(model, wide, problem.box, reduction=reduction)
    session = open_session(model)
    rows = np.array([[1.5, 1.5, 0.8, 1e-6], [1.5, 1.4, 1.0, 0.0], [0.5, 0.5, 1.2, 0.02], [1.0, 1.1, 1.0, 1.0]])
    number = np.float64 if dtype == torch.float64 else np.float32
    names = [part.name for part in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"features": rows.astype(number)}), strict=True))
    assert set(found) == {"value", "delta", "gamma", "strike", "theta"}
    assert all(np.isfinite(part).all() for part in found.values())
    np.testing.assert_allclose(found["value"][:3], [0.7, 0.45, 0.0], atol=1e-6)
    np.testing.assert_allclose(found["delta"][0], [0.5, 0.5, -1.0, 0.0], atol=1e-6)


def test_an_answer_is_the_polynomials_own(generator: torch.Generator, cube: Cube) -> None:
    surrogate, x = drawn(5, 2, 4, generator), np.random.default_rng(0).uniform(0.3, 1.7, (20, 5))
    session = open_session(to_onnx(surrogate, box=cube(5), metadata={}))
    for got, want in zip(
        session.run(None, {"features": x}), value_gradient_hessian(surrogate, torch.from_numpy(x)), strict=True
    ):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)
