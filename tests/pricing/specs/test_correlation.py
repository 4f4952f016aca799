from __future__ import annotations

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.correlation import require_correlation


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 1.0], [1.0, 1.0]], "smallest eigenvalue"),
        ([[1.0, 1.2], [1.2, 1.0]], "positive definite: its smallest eigenvalue is -0.2"),
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[1.0, 0.5], [0.5, 0.9]], "ones on its diagonal"),
        ([[1.0, float("nan")], [0.5, 1.0]], "finite"),
        ([[1.0, 0.5], [0.5]], "2 rows of 2 entries, one per asset of the process, got 2 rows of 1 and 2 entries"),
        ([], "got 0 rows of no entries"),
    ],
)
def test_correlations_that_make_no_sense(matrix: list[list[float]], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        require_correlation(matrix, 2)
