"""The dynamics of the assets. A process names its parameters; every one of them may be a feature of the surrogate."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, Spec, require_finite, require_range
from pricing.specs.correlation import require_correlation

MAXIMUM_STEPS = 4096
# Largest |skew| of a surface: at 1 its slope is infinite at a point.
MAXIMUM_SKEW = 0.999
# Parameters by name with the value that each has where it is no feature.
Parameters = dict[str, tuple[float, ...]]


class Piece(Spec, frozen=True, kw_only=True):
    """A value of a piecewise-constant parameter.

    Args:
        start: from when on it holds, years, > 0.
        value: in the parameter's unit, or a factor.
    """

    start: float
    value: float

    def __post_init__(self) -> None:
        require_number("start", self.start)
        require_number("value", self.value)


class Dividend(Spec, frozen=True, kw_only=True):
    """A discrete dividend: the asset falls by a proportion of itself, then by an amount.

    Args:
        time: years.
        asset: which one, counted from 0.
        amount: currency.
        proportion: share of the level, 0 to 1.
    """

    time: float
    asset: int = 0
    amount: float = 0.0
    proportion: float = 0.0

    def __post_init__(self) -> None:
        require_range("time", self.time, 0.0, 1e3)
        require_range("asset", self.asset, 0, MAXIMUM_ASSETS - 1)
        require_range("amount", self.amount, 0.0, 1e12)
        require_range("proportion", self.proportion, 0.0, 1.0)


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


class Bachelier(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="bachelier"):
    """Correlated arithmetic Brownian motions.

    Args:
        convention: "forward": S_T = S + sqrt(T) L z, undiscounted (Huge & Savine 2020); "carry":
            dS_i = (r - q_i) S_i dt + sigma_i dW_i, discounted at the rate r.
        volatilities: sigma_i, currency per sqrt(year), >= 0.
    """

    volatilities: tuple[float, ...]
    convention: Literal["forward", "carry"] = "forward"

    def __post_init__(self) -> None:
        require_positive("volatilities", self.volatilities, unit="currency per sqrt(year)")
        require_diffusion(self, self.assets)
        if self.convention == "forward" and (self.rate or self.rate_pieces or any(self.dividend_yields)):
            raise InvalidSpec(
                "rate and dividend_yields need convention = 'carry'; 'forward' is driftless, undiscounted",
                path="convention",
            )

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.volatilities)

    @property
    def parameters(self) -> Parameters:
        """What may vary besides the spots."""
        carry = diffusion_parameters(self, self.assets)
        if self.convention == "forward":
            del carry["rate"], carry["dividend_yield"]
        return {"volatility": self.volatilities, **carry}


class BlackScholes(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="black_scholes"):
    """Correlated geometric Brownian motions: dS_i / S_i = (r - q_i) dt + sigma_i dW_i (Black & Scholes 1973).

    Args:
        volatilities: sigma_i, per sqrt(year), >= 0.
        dividends: discrete dividends at fixed times, on top of the yields; by increasing time.
    """

    volatilities: tuple[float, ...]
    dividends: tuple[Dividend, ...] = ()

    def __post_init__(self) -> None:
        require_positive("volatilities", self.volatilities, unit="per sqrt(year)")
        require_diffusion(self, self.assets)
        require_increasing("dividends", [dividend.time for dividend in self.dividends], strictly=False)
        for i, dividend in enumerate(self.dividends):
            require_range(f"dividends[{i}].asset", dividend.asset, 0, self.assets - 1)

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.volatilities)

    @property
    def parameters(self) -> Parameters:
        """What may vary besides the spots."""
        return {"volatility": self.volatilities, **diffusion_parameters(self, self.assets)}


class Heston(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="heston"):
    """Stochastic variance v: dS / S = b dt + sqrt(v) dW, dv = kappa (theta - v) dt + xi sqrt(v) dB for every asset.

    dW_i = rho_i dB_i + sqrt(1 - rho_i^2) dZ_i, where B and Z are independent and each has the ``correlation`` C between
    assets, so that corr(dW_i, dW_j) = (rho_i rho_j + sqrt((1 - rho_i^2) (1 - rho_j^2))) C_ij: C_ij itself for equal
    rho (Heston 1993).

    Args:
        initial_variances: v_i(0), per year, >= 0.
        mean_reversions: kappa_i, per year, >= 0.
        long_variances: theta_i, per year, >= 0.
        variance_volatilities: xi_i, per year, >= 0.
        spot_variance_correlations: rho_i, in [-1, 1].
        steps: time steps of a path.
    """

    initial_variances: tuple[float, ...]
    mean_reversions: tuple[float, ...]
    long_variances: tuple[float, ...]
    variance_volatilities: tuple[float, ...]
    spot_variance_correlations: tuple[float, ...]
    steps: int = 16

    def __post_init__(self) -> None:
        for name in ("initial_variances", "mean_reversions", "long_variances", "variance_volatilities"):
            values = getattr(self, name)
            require_length(name, values, self.assets)
            require_positive(name, values, unit="per year")
        require_length("spot_variance_correlations", self.spot_variance_correlations, self.assets)
        for i, value in enumerate(self.spot_variance_correlations):
            require_range(f"spot_variance_correlations[{i}]", value, -1.0, 1.0)
        require_range("steps", self.steps, 1, MAXIMUM_STEPS)
        require_diffusion(self, self.assets)

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.initial_variances)

    @property
    def parameters(self) -> Parameters:
        """What may vary besides the spots."""
        return {
            "initial_variance": self.initial_variances,
            "mean_reversion": self.mean_reversions,
            "long_variance": self.long_variances,
            "variance_volatility": self.variance_volatilities,
            "spot_variance_correlation": self.spot_variance_correlations,
            **diffusion_parameters(self, self.assets),
        }


class LocalVolatility(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="local_volatility"):
    """dS / S = b dt + sigma(ln(S / F(t)), t) dW for every asset, sigma by Dupire from a surface of implied variance.

    The surface is SSVI: w(k, t) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)),  theta = sigma^2 t,
    phi = eta / (u^gamma (1 + u)^(1 - gamma)), u = sigma^2 sqrt(t^2 + week^2), where k = ln(K / F(t)), F is the forward
    of the process's reference spot and t runs on the volatility clock (Gatheral & Jacquier 2014; Dupire 1994). The week
    keeps the skew, and gamma at the reference spot, finite as t goes to 0.

    Args:
        volatilities: sigma_i at the money, per sqrt(year), > 0.
        skews: rho_i of the surface, in (-1, 1).
        curvatures: eta_i >= 0; eta (1 + |rho|) <= 2 keeps the surface free of arbitrage.
        powers: gamma_i in [0, 1/2].
        reference_spots: levels that the surface is quoted at, currency, > 0.
        scheme: of a time step in ln S: "euler", or "milstein" of strong order one.
        steps: time steps of a path.
    """

    volatilities: tuple[float, ...]
    skews: tuple[float, ...]
    curvatures: tuple[float, ...]
    powers: tuple[float, ...]
    reference_spots: tuple[float, ...]
    scheme: Literal["euler", "milstein"] = "milstein"
    steps: int = 32

    def __post_init__(self) -> None:
        require_positive("volatilities", self.volatilities, unit="per sqrt(year)")
        for name in ("skews", "curvatures", "powers", "reference_spots"):
            require_length(name, getattr(self, name), self.assets)
        for i in range(self.assets):
            require_range(f"skews[{i}]", self.skews[i], -MAXIMUM_SKEW, MAXIMUM_SKEW)
            require_range(f"curvatures[{i}]", self.curvatures[i], 0.0, 2.0 / (1.0 + abs(self.skews[i])))
            require_range(f"powers[{i}]", self.powers[i], 0.0, 0.5)
            require_range(f"reference_spots[{i}]", self.reference_spots[i], 1e-300, 1e300)
        require_range("steps", self.steps, 1, MAXIMUM_STEPS)
        require_diffusion(self, self.assets)

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.volatilities)

    @property
    def parameters(self) -> Parameters:
        """What may vary besides the spots."""
        return {
            "volatility": self.volatilities,
            "skew": self.skews,
            "curvature": self.curvatures,
            **diffusion_parameters(self, self.assets),
        }


Process = Bachelier | BlackScholes | Heston | LocalVolatility


def pays_amounts(process: Process) -> bool:
    """Whether any dividend has an amount in currency."""
    return isinstance(process, BlackScholes) and any(dividend.amount for dividend in process.dividends)


def diffusion_parameters(process: Diffusion, assets: int) -> Parameters:
    """The parameters that every process has; ``volatility_scale`` and ``rate`` have one coordinate per piece."""
    return {
        "volatility_scale": (1.0, *(piece.value for piece in process.volatility_pieces)),
        "rate": (process.rate, *(piece.value for piece in process.rate_pieces)),
        "dividend_yield": process.dividend_yields or (0.0,) * assets,
    }


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
        require_increasing(name, [0.0, *(piece.start for piece in pieces)])
    require_positive(
        "volatility_pieces", [piece.value for piece in process.volatility_pieces], unit="a factor", least=0
    )
    require_correlation(process.correlation, assets)


def require_number(name: str, value: float) -> None:
    """Raise InvalidSpec unless the value is finite."""
    if not math.isfinite(value):
        raise InvalidSpec(f"{name} must be finite, got {value!r}", path=name)


def require_positive(name: str, values: tuple[float, ...] | list[float], *, unit: str, least: int = 1) -> None:
    """Raise InvalidSpec unless there are ``least`` to MAXIMUM_ASSETS values, finite and >= 0."""
    require_finite(name, values)
    if not least <= len(values) <= MAXIMUM_ASSETS:
        raise InvalidSpec(
            f"{name}: give {least} to {MAXIMUM_ASSETS} of them, got {len(values)}",
            path=name,
            bound=[least, MAXIMUM_ASSETS],
        )
    for i, value in enumerate(values):
        if value < 0.0:
            raise InvalidSpec(f"{name}[{i}] must be >= 0 ({unit}), got {value!r}", path=f"{name}[{i}]", bound=0.0)


def require_length(name: str, values: tuple[float, ...], assets: int) -> None:
    """Raise InvalidSpec unless there is one finite value per asset."""
    require_finite(name, values)
    if len(values) != assets:
        raise InvalidSpec(f"{name}: give {assets}, one per asset, got {len(values)}", path=name, bound=assets)


def require_increasing(name: str, times: list[float], *, strictly: bool = True) -> None:
    """Raise InvalidSpec unless times increase."""
    for earlier, later in pairwise(times):
        if not (earlier < later or (earlier == later and not strictly)):
            raise InvalidSpec(f"{name}: times must increase, got {later!r} after {earlier!r}", path=name)
