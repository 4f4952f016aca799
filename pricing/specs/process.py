"""The dynamics of the assets. A process names its parameters; every one of them may be a feature of the surrogate."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from pricing.errors import InvalidSpec
from pricing.specs.base import (
    require_at_most,
    require_each,
    require_increasing,
    require_length,
    require_positive,
    require_range,
)
from pricing.specs.diffusion import Diffusion, Steps, diffusion_parameters, grid, require_diffusion, require_steps
from pricing.specs.facts import ProcessFacts
from pricing.specs.ito import ItoDiffusion
from pricing.specs.parameters import MAXIMUM_SKEW, Parameters
from pricing.specs.schedule import Dividend

# Discrete dividends: four a year for ten years on twenty-five assets.
MAXIMUM_DIVIDENDS = 1_000
# Jumps a year and sizes of their logarithms beyond which nobody trades: e^5 is a factor of 150.
MAXIMUM_INTENSITY, MAXIMUM_JUMP = 100.0, 5.0
# Time steps of a path that a problem takes by itself, at least: what a year asks for.
HESTON_STEPS, SURFACE_STEPS = 16, 32
# Tensors of a double backward pass at its peak, two to three times what its graph keeps; measured: 10 to 120, 130
# through the steps of Heston and 300 through those of a local volatility.
TENSORS, HESTON_TENSORS, LOCAL_VOLATILITY_TENSORS = 128, 144, 320


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

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it."""
        return ProcessFacts(
            law="additive",
            unaffine=None,
            opened="every step",
            unopened=None,
            random_variance=False,
            independent_increments=True,
            density=True,
            lognormal=False,
            grid=None,
            shared_noise=True,
            level_noise=False,
            bridge="exact" if self.convention == "forward" else "straight",
            tensors=TENSORS,
            randomness=("volatility",),
            dividends=(),
            convex=True,
            unscaled=None,
            constant={},
            by_law=(),
            carried=True,
            kinked=False,
        )


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
        require_at_most("dividends", self.dividends, MAXIMUM_DIVIDENDS)
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

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it; a dividend in cash leaves ln S affine in the normals of the last step alone."""
        cash = any(dividend.amount for dividend in self.dividends)
        lognormal = "lognormal levels, which dividends in cash do not leave; give them as proportions"
        return ProcessFacts(
            law="multiplicative",
            unaffine=lognormal if cash else None,
            opened="last step" if cash else "every step",
            unopened=None,
            random_variance=False,
            independent_increments=not self.dividends,
            density=not self.dividends,
            lognormal=not self.dividends,
            grid=None,
            shared_noise=not cash,
            level_noise=False,
            bridge="exact",
            tensors=TENSORS,
            randomness=("volatility",),
            dividends=self.dividends,
            convex=not self.dividends,
            unscaled=None,
            constant={},
            by_law=(),
            carried=True,
            kinked=False,
        )


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
        steps: time steps of a path; by default 16, and more for long maturities and fast or violent variances
            (`pricing.specs.time_steps`).
    """

    initial_variances: tuple[float, ...]
    mean_reversions: tuple[float, ...]
    long_variances: tuple[float, ...]
    variance_volatilities: tuple[float, ...]
    spot_variance_correlations: tuple[float, ...]
    steps: Steps = UNSET

    def __post_init__(self) -> None:
        for name in ("initial_variances", "mean_reversions", "long_variances", "variance_volatilities"):
            values = getattr(self, name)
            require_length(name, values, self.assets)
            require_positive(name, values, unit="per year")
        require_each("spot_variance_correlations", self.spot_variance_correlations, self.assets, least=-1.0, most=1.0)
        require_steps(self.steps)
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

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it."""
        certain = any(abs(rho) == 1.0 for rho in self.spot_variance_correlations)
        unopened = "has no normal of its own to integrate where a spot_variance_correlation is 1 or -1"
        return ProcessFacts(
            law="multiplicative",
            unaffine=None,
            opened="every step",
            unopened=unopened if certain else None,
            random_variance=True,
            independent_increments=False,
            density=False,
            lognormal=False,
            grid=grid(self.steps, HESTON_STEPS),
            shared_noise=False,
            level_noise=False,
            bridge="own steps",
            tensors=HESTON_TENSORS,
            randomness=("initial_variance", "long_variance"),
            dividends=(),
            convex=True,
            unscaled=None,
            constant={},
            by_law=(),
            carried=True,
            kinked=False,
        )


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
        steps: time steps of a path; by default 32, and more for large variances to maturity
            (`pricing.specs.time_steps`).
    """

    volatilities: tuple[float, ...]
    skews: tuple[float, ...]
    curvatures: tuple[float, ...]
    powers: tuple[float, ...]
    reference_spots: tuple[float, ...]
    scheme: Literal["euler", "milstein"] = "milstein"
    steps: Steps = UNSET

    def __post_init__(self) -> None:
        require_positive("volatilities", self.volatilities, unit="per sqrt(year)")
        for name in ("skews", "curvatures", "powers", "reference_spots"):
            require_length(name, getattr(self, name), self.assets)
        for i in range(self.assets):
            require_range(f"skews[{i}]", self.skews[i], -MAXIMUM_SKEW, MAXIMUM_SKEW)
            require_range(f"curvatures[{i}]", self.curvatures[i], 0.0, 2.0 / (1.0 + abs(self.skews[i])))
            require_range(f"powers[{i}]", self.powers[i], 0.0, 0.5)
            require_range(f"reference_spots[{i}]", self.reference_spots[i], 1e-300, 1e300)
        require_steps(self.steps)
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

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it."""
        return ProcessFacts(
            law="multiplicative",
            unaffine="steps that are Gaussian in any length, which local volatility has not; use another process",
            opened="last step",
            unopened=None,
            random_variance=False,
            independent_increments=False,
            density=False,
            lognormal=False,
            grid=grid(self.steps, SURFACE_STEPS),
            shared_noise=False,
            level_noise=True,
            bridge=None,
            tensors=LOCAL_VOLATILITY_TENSORS,
            randomness=("volatility",),
            dividends=(),
            convex=self.assets == 1,
            unscaled="a surface of local volatility does not scale",
            constant={},
            by_law=(),
            carried=True,
            kinked=False,
        )


class Merton(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="merton"):
    """Jump diffusion: dS / S = (b - lambda m) dt + sigma dW + (J - 1) dN for every asset (Merton 1976).

    N counts independent jumps of intensity lambda, each by a factor J with ln J ~ N(mu, delta^2), and m = E[J] - 1. The
    ``correlation`` is that of W; jumps of different assets are independent.

    Args:
        volatilities: sigma_i, per sqrt(year), >= 0.
        jump_intensities: lambda_i, jumps per year, 0 to 100.
        jump_means: mu_i of ln J, -5 to 5.
        jump_deviations: delta_i of ln J, 0 to 5.
    """

    volatilities: tuple[float, ...]
    jump_intensities: tuple[float, ...]
    jump_means: tuple[float, ...]
    jump_deviations: tuple[float, ...]

    def __post_init__(self) -> None:
        require_positive("volatilities", self.volatilities, unit="per sqrt(year)")
        require_each("jump_intensities", self.jump_intensities, self.assets, least=0.0, most=MAXIMUM_INTENSITY)
        require_each("jump_means", self.jump_means, self.assets, least=-MAXIMUM_JUMP, most=MAXIMUM_JUMP)
        require_each("jump_deviations", self.jump_deviations, self.assets, least=0.0, most=MAXIMUM_JUMP)
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
            "jump_intensity": self.jump_intensities,
            "jump_mean": self.jump_means,
            "jump_deviation": self.jump_deviations,
            **diffusion_parameters(self, self.assets),
        }

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it; the jumps that happen come from normals of their own."""
        return ProcessFacts(
            law="multiplicative",
            unaffine=None,
            opened="every step",
            unopened=None,
            random_variance=False,
            independent_increments=True,
            density=False,
            lognormal=False,
            grid=None,
            shared_noise=True,
            level_noise=False,
            bridge=None,
            tensors=TENSORS,
            randomness=("volatility", "jump_intensity"),
            dividends=(),
            convex=True,
            unscaled=None,
            constant={},
            by_law=("jump_intensity", "maturity"),
            carried=True,
            kinked=False,
        )


Process = Bachelier | BlackScholes | Heston | LocalVolatility | Merton | ItoDiffusion
