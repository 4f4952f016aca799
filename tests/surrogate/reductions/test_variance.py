from __future__ import annotations

import numpy as np
import pytest
import torch

from pricing.specs.process import BlackScholes
from pricing.types import Array
from surrogate.reductions.expressions import constant, evaluate
from surrogate.reductions.variance import correlated_squares, mean_over_time

FIXED = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.5], [-0.2, 0.5, 1.0]])
LOADINGS = np.array([0.9, -0.4, 0.6])
ONE_FACTOR = np.outer(LOADINGS, LOADINGS) + np.diag(1.0 - LOADINGS**2)
EQUAL = np.full((3, 3), 0.25) + 0.75 * np.eye(3)
EXPOSURES = np.array([[1.0, -2.0, 0.5], [0.3, 0.7, -1.1]])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("varying", "matrix"),
    [({}, FIXED), ({"loading": LOADINGS}, ONE_FACTOR), ({"correlation": np.array([0.25])}, EQUAL)],
)
def test_correlated_squares_are_the_quadratic_forms(varying: dict[str, Array], matrix: Array, count: int) -> None:
    process = BlackScholes(volatilities=(0.2,) * 3, correlation=tuple(map(tuple, FIXED.tolist())))
    at = {name: constant(torch.from_numpy(values)) for name, values in varying.items()}
    exposures = constant(torch.from_numpy(EXPOSURES[:count].ravel()))
    (squares,) = evaluate([correlated_squares(process, at, exposures)], torch.zeros(1, 1, dtype=torch.float64))
    expected = np.einsum("ki,ij,kj->k", EXPOSURES[:count], matrix, EXPOSURES[:count])
    np.testing.assert_allclose(squares[0].numpy(), expected, rtol=1e-14)


def test_means_over_time_of_exponentials_are_their_integrals() -> None:
    rates = np.array([-20.0, -0.5, 1e-9, 3.0, 20.0])
    exponents, weights = mean_over_time(constant(torch.from_numpy(rates)))
    values = torch.exp(exponents.numbers).reshape(-1, len(rates))
    np.testing.assert_allclose((weights.numbers[0] @ values).numpy(), np.expm1(rates) / rates, rtol=1e-12)
