"""One driving normal integrated exactly: conditional Monte Carlo for a moneyness that is linear in the normals.

With m = rest + a z and z standard normal, E[m^+ | rest] = |a| (u N(u) + n(u)) at u = rest / |a|: the Gaussian ramp of
width |a|, unbiased and smooth to all orders (Glasserman 2004, section 7.2.3).
"""

from __future__ import annotations

from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.spec import Conditional

# A normal that carries less than this share of the terminal standard deviation smooths nothing: kernels that narrow put
# all curvature on a handful of paths.
MINIMUM_SHARE = 1e-6


def integrated(estimator: Conditional, assets: int) -> int:
    """Index of the normal that is integrated."""
    return 0 if estimator.normal == "first" else assets - 1


def without(normals: Tensor, column: int) -> Tensor:
    """The normals with one of them at its mean. Shape: ... asset -> the same."""
    rest = normals.clone()
    rest[..., column] = 0.0
    return rest


def width(sensitivity: Tensor, column: int) -> float:
    """|a|, currency, of the integrated normal.

    Args:
        sensitivity: derivative of the moneyness by each (rotated) normal, currency.
        column: index of the normal.

    Shape: asset ->.

    Raises:
        InvalidSpec: the payoff does not depend on that normal.
    """
    share, total = float(sensitivity[column].abs()), float(sensitivity.norm())
    if share < MINIMUM_SHARE * total:
        raise InvalidSpec(
            f"estimator: normal {column} carries {share:.3g} of a terminal standard deviation of {total:.3g} "
            "(currency), so integrating it smooths nothing; use normal = 'first', or rotation = 'none'"
        )
    return share
