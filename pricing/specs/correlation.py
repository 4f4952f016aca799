"""What makes a matrix of correlations one. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pricing.errors import InvalidSpec

# Smallest eigenvalue of a correlation matrix that still counts as positive definite: 1e-10 leaves the Cholesky factor
# five correct digits in float64.
MINIMUM_EIGENVALUE = 1e-10
# A correlation matrix typed with ten decimals is symmetric with unit diagonal to this tolerance.
CORRELATION_TOLERANCE = 1e-9


def require_correlation(correlation: Sequence[Sequence[float]], assets: int) -> None:
    """Raise InvalidSpec unless the matrix is a positive definite correlation matrix of ``assets`` assets."""
    if len(correlation) != assets or any(len(row) != assets for row in correlation):
        widths = " and ".join(str(width) for width in sorted({len(row) for row in correlation}))
        raise InvalidSpec(
            f"correlation must have {assets} rows of {assets} entries, one per asset of the process, got "
            f"{len(correlation)} rows of {widths or 'no'} entries",
            path="correlation",
            bound=assets,
        )
    matrix = np.array(correlation)
    if not np.isfinite(matrix).all():
        raise InvalidSpec("correlation must be finite", path="correlation")
    if np.abs(np.diag(matrix) - 1.0).max() > CORRELATION_TOLERANCE:
        raise InvalidSpec(
            f"correlation must have ones on its diagonal, got {np.diag(matrix).tolist()}", path="correlation"
        )
    if np.abs(matrix - matrix.T).max() > CORRELATION_TOLERANCE:
        raise InvalidSpec("correlation must be symmetric", path="correlation")
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest < MINIMUM_EIGENVALUE:
        raise InvalidSpec(
            f"correlation must be positive definite: its smallest eigenvalue is {smallest:.3g}, the bound is "
            f"{MINIMUM_EIGENVALUE:g}; move it towards the identity matrix",
            path="correlation",
            bound=MINIMUM_EIGENVALUE,
        )
