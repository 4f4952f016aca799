"""What every process has: correlated drivers, carry, and what is piecewise constant in time."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import (
    Spec,
    require_at_most,
    require_finite,
    require_increasing,
    require_number,
    require_positive,
    require_range,
)
from pricing.specs.correlation import require_correlation
from pricing.specs.parameters import Parameters
from pricing.specs.schedule import Piece

MAXIMUM_STEPS = 4096
# The count of time steps, or UNSET for as many as `pricing.specs.time_steps` takes.
Steps = int | UnsetType
# Pieces of a rate or a volatility: one a month for twenty years.
MAXIMUM_PIECES = 256


class Diffusion(Spec, frozen=True, kw_only=True):
    """What every process has: correlated drivers, carry b_i = r - q_i, discounting at r.

    Args:
        correlation: rho between the assets' drivers, symmetric, unit diagonal, positive definite.
        rate: r per year, continuously compounded, until the first of ``rate_pieces``.
        rate_pieces: later values of r, per year, by increasing start.
        dividend_yields: q_i per year; empty means zero.
        volatility_pieces: from each start on all volatilities are multiplied by its value, by 1 before the first.
    """

    correlation: tuple[tuple[float, ...], ...]
    rate: float = 0.0
    rate_pieces: tuple[Piece, ...] = ()
    dividend_yields: tuple[float, ...] = ()
    volatility_pieces: tuple[Piece, ...] = ()


def diffusion_parameters(process: Diffusion, assets: int) -> Parameters:
    """The parameters that every process has; ``volatility_scale`` and ``rate`` have one coordinate per piece."""
    return {
        "volatility_scale": (1.0, *(piece.value for piece in process.volatility_pieces)),
        "rate": (process.rate, *(piece.value for piece in process.rate_pieces)),
        "dividend_yield": process.dividend_yields or (0.0,) * assets,
    }


def grid(steps: Steps, least: int) -> int:
    """The time steps that are given, or the least that a problem takes by itself."""
    return least if steps is UNSET else steps


def require_steps(steps: Steps) -> None:
    """Raise InvalidSpec for no time steps or too many."""
    if steps is not UNSET:
        require_range("steps", steps, 1, MAXIMUM_STEPS)


def require_diffusion(process: Diffusion, assets: int) -> None:
    """Raise InvalidSpec unless correlation, carry and pieces fit that many assets."""
    require_number("rate", process.rate)
    require_finite("dividend_yields", process.dividend_yields)
    if len(process.dividend_yields) not in (0, assets):
        raise InvalidSpec(
            f"dividend_yields: give none or {assets}, got {len(process.dividend_yields)}", path="dividend_yields"
        )
    for name in ("rate_pieces", "volatility_pieces"):
        pieces: tuple[Piece, ...] = getattr(process, name)
        require_at_most(name, pieces, MAXIMUM_PIECES)
        require_increasing(name, [0.0, *(piece.start for piece in pieces)])
    require_positive(
        "volatility_pieces", [piece.value for piece in process.volatility_pieces], unit="a factor", least=0
    )
    require_correlation(process.correlation, assets)
