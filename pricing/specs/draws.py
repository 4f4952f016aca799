"""Where the random numbers of a path come from."""

from __future__ import annotations

from typing import Literal

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_PATHS, Spec, require_power_of_two


class Draws(Spec, frozen=True, kw_only=True):
    """Where the random normals of a path come from.

    Args:
        source: "pseudo" (PCG64), "antithetic" (each normal vector with its negative) or "sobol" (scrambled).
        rotation: "gradient_pca" turns the driving normals so that the first carries most of the payoff's gradient,
            found on ``pilot`` simulated paths; "none" keeps the Cholesky order.
        sharing: "common" uses one path set at every sample, "shifted" the same set with a random shift a sample
            (Cranley & Patterson 1976; Sobol only), "independent" a new set a sample.
        pilot: paths that the rotation is found on, a power of two.
    """

    source: Literal["pseudo", "antithetic", "sobol"] = "sobol"
    rotation: Literal["none", "gradient_pca"] = "gradient_pca"
    sharing: Literal["common", "shifted", "independent"] = "common"
    pilot: int = 512

    def __post_init__(self) -> None:
        require_power_of_two("pilot", self.pilot, MAXIMUM_PATHS)
        if self.sharing == "shifted" and self.source != "sobol":
            raise InvalidSpec(f"sharing = 'shifted' needs source = 'sobol', got {self.source!r}", path="sharing")
