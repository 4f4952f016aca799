"""What is priced and how it is labelled: frozen, validated specifications with a JSON and TOML round trip. Torch-free.

A spec is a ``msgspec.Struct``: `load` converts plain data strictly (no string passes for a number, no unknown field)
and names the path of whatever is wrong; ``__post_init__`` checks what a type cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar

import msgspec

from pricing.conversion import explain
from pricing.correlation import require_correlation
from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pricing.tables import require_states

# The Hessian of this many assets has a million entries a sample.
MAXIMUM_ASSETS = 1_000
# More paths a replicate than this is a typing error rather than a wish.
MAXIMUM_PATHS = 1 << 24
MAXIMUM_SAMPLES = 1 << 22
# Payoffs on paths of one data set: a million million take hours; who asks for more has misplaced a digit.
MAXIMUM_EVALUATIONS = 1 << 40
# Solver steps through a table of states: 12,500 epochs of the 8 steps that a flow has if nothing is said.
MAXIMUM_FLOW_STEPS = 100_000

# Largest |rate| times maturity: e^10 is a growth that no market has, and squares of it stay far from overflow.
MAXIMUM_EXPONENT = 10.0

SpecType = TypeVar("SpecType")


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every specification: immutable, keyword-only, unknown fields refused."""


def load(kind: type[SpecType], data: object) -> SpecType:
    """Plain data (from JSON or TOML) as a validated specification.

    Raises:
        InvalidSpec: names what is wrong and the path of the field.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind, data) from error


def dump(spec: msgspec.Struct) -> dict[str, Any]:
    """A specification as plain data that JSON and `load` take."""
    plain = msgspec.to_builtins(spec)
    assert isinstance(plain, dict)
    return plain


def require_finite(name: str, values: Sequence[float]) -> None:
    """Raise InvalidSpec unless every value is finite."""
    for i, value in enumerate(values):
        if not math.isfinite(value):
            raise InvalidSpec(f"{name}[{i}] must be finite, got {value!r}", path=f"{name}[{i}]")


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidSpec unless low <= value <= high and value is finite."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidSpec(f"{name} must be in [{low:g}, {high:g}], got {value!r}", path=name, bound=[low, high])


def require_power_of_two(name: str, value: int, maximum: int) -> None:
    """Raise InvalidSpec unless value is a power of two from 1 to maximum: Sobol sets are balanced only then."""
    if not 1 <= value <= maximum or value & (value - 1):
        raise InvalidSpec(
            f"{name} must be a power of two from 1 to {maximum}, got {value}", path=name, bound=[1, maximum]
        )


class Bachelier(Spec, frozen=True, kw_only=True, tag_field="kind", tag="bachelier"):
    """Correlated arithmetic Brownian motions.

    ``convention="forward"``: S_T = S + sqrt(T) L z, undiscounted (Huge & Savine 2020).
    ``convention="carry"``: dS_i = (r - q_i) S_i dt + sigma_i dW_i, discounted at the rate r.

    Args:
        volatilities: sigma_i, currency per sqrt(year), >= 0.
        correlation: rho, symmetric, unit diagonal, positive definite.
        rate: r per year, continuously compounded ("carry" only).
        dividend_yields: q_i per year; empty means zero ("carry" only).
    """

    volatilities: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    convention: Literal["forward", "carry"] = "forward"
    rate: float = 0.0
    dividend_yields: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_finite("volatilities", self.volatilities)
        require_finite("rate", (self.rate,))
        require_finite("dividend_yields", self.dividend_yields)
        if not 1 <= self.assets <= MAXIMUM_ASSETS:
            raise InvalidSpec(
                f"volatilities: give 1 to {MAXIMUM_ASSETS} of them, got {self.assets}",
                path="volatilities",
                bound=[1, MAXIMUM_ASSETS],
            )
        for i, volatility in enumerate(self.volatilities):
            if volatility < 0.0:
                raise InvalidSpec(
                    f"volatilities[{i}] must be >= 0 (currency per sqrt(year)), got {volatility!r}",
                    path=f"volatilities[{i}]",
                    bound=0.0,
                )
        if len(self.dividend_yields) not in (0, self.assets):
            raise InvalidSpec(
                f"dividend_yields: give none or {self.assets}, got {len(self.dividend_yields)}", path="dividend_yields"
            )
        if self.convention == "forward" and (self.rate or any(self.dividend_yields)):
            raise InvalidSpec(
                "rate and dividend_yields need convention = 'carry'; 'forward' is driftless, undiscounted",
                path="convention",
            )
        require_correlation(self.correlation, self.assets)

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.volatilities)


class BasketPayoff(Spec, frozen=True, kw_only=True, tag_field="kind"):
    """A payoff of the basket B = w . S_T against a strike; weights may have any sign."""

    weights: tuple[float, ...]
    strike: float

    def __post_init__(self) -> None:
        require_finite("weights", self.weights)
        require_finite("strike", (self.strike,))
        if not any(self.weights):
            raise InvalidSpec("weights must not all be zero", path="weights")


class Call(BasketPayoff, frozen=True, kw_only=True, tag="call"):
    """Pays max(w . S_T - K, 0)."""


class Put(BasketPayoff, frozen=True, kw_only=True, tag="put"):
    """Pays max(K - w . S_T, 0)."""


Process = Bachelier
Payoff = Call | Put


class PricingProblem(Spec, frozen=True, kw_only=True, dict=True):
    """A payoff on a process at a maturity, as a function of the features in the Box.

    Args:
        maturity: years to payment, >= 0.
        features: what varies, with bounds; the feature ``spot`` has one coordinate per asset.
    """

    process: Process
    payoff: Payoff
    maturity: float
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.maturity) and self.maturity >= 0.0):
            raise InvalidSpec(
                f"maturity must be finite and >= 0 years, got {self.maturity!r}", path="maturity", bound=0.0
            )
        if len(self.payoff.weights) != self.process.assets:
            raise InvalidSpec(
                f"payoff.weights must have one weight per asset ({self.process.assets}), "
                f"got {len(self.payoff.weights)}",
                path="payoff.weights",
            )
        for name, rate in (
            ("rate", self.process.rate),
            *(("dividend_yields", q) for q in self.process.dividend_yields),
        ):
            if not abs(rate) * self.maturity <= MAXIMUM_EXPONENT:
                raise InvalidSpec(
                    f"process.{name} times maturity must be in [-{MAXIMUM_EXPONENT:g}, {MAXIMUM_EXPONENT:g}], got "
                    f"{rate!r} per year over {self.maturity!r} years",
                    path=f"process.{name}",
                    bound=MAXIMUM_EXPONENT,
                )
        names = [feature.name for feature in self.features]
        if names != ["spot"]:
            raise InvalidSpec(f"features: this process takes the single feature 'spot', got {names}", path="features")
        if self.box.dimension != self.process.assets:
            raise InvalidSpec(
                f"features: spot must have one coordinate per asset ({self.process.assets}), got {self.box.dimension}",
                path="features",
            )

    @cached_property
    def box(self) -> Box:
        """The domain that the features span."""
        return Box(features=self.features)


class Draws(Spec, frozen=True, kw_only=True):
    """Where the random normals of a path come from.

    Args:
        source: "pseudo" (PCG64), "antithetic" (each normal vector with its negative) or "sobol" (scrambled).
        rotation: "gradient_pca" turns the driving normals so that the first carries most of the payoff's gradient,
            found on ``pilot`` simulated paths; "none" keeps the Cholesky order.
        sharing: "common" uses one path set at every sample, "shifted" the same set with a random shift a sample
            (Cranley & Patterson 1976; Sobol only), "independent" a new set a sample.
    """

    source: Literal["pseudo", "antithetic", "sobol"] = "sobol"
    rotation: Literal["none", "gradient_pca"] = "gradient_pca"
    sharing: Literal["common", "shifted", "independent"] = "common"
    pilot: int = 512

    def __post_init__(self) -> None:
        require_power_of_two("pilot", self.pilot, MAXIMUM_PATHS)
        if self.sharing == "shifted" and self.source != "sobol":
            raise InvalidSpec(f"sharing = 'shifted' needs source = 'sobol', got {self.source!r}", path="sharing")


Kernel = Literal["silu", "softplus", "average", "gaussian"]


class Pathwise(Spec, frozen=True, kw_only=True, tag_field="kind", tag="pathwise"):
    """The payoff as it is: unbiased value and delta, no curvature."""


class Smoothed(Spec, frozen=True, kw_only=True, tag_field="kind", tag="smoothed"):
    """The payoff's kink replaced by a smooth ramp.

    Args:
        kernel: see PRICING_MATH 3.1; "average" of SiLU and softplus has no bias at second order in the width.
        width: in units of the terminal standard deviation; 0 means: derived from ``gamma_bias``.
        gamma_bias: largest accepted relative bias of the at-the-money gamma when ``width`` is 0.
    """

    kernel: Kernel = "average"
    width: float = 0.0
    gamma_bias: float = 1e-5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.width) and 0.0 <= self.width <= 1.0):
            raise InvalidSpec(
                f"width must be 0 (automatic) to 1 terminal standard deviations, got {self.width!r}",
                path="width",
                bound=[0.0, 1.0],
            )
        if not 0.0 < self.gamma_bias <= 0.1:
            raise InvalidSpec(
                f"gamma_bias must be in (0, 0.1], got {self.gamma_bias!r}", path="gamma_bias", bound=[0.0, 0.1]
            )


class Conditional(Spec, frozen=True, kw_only=True, tag_field="kind", tag="conditional"):
    """One driving normal integrated exactly: unbiased, infinitely smooth.

    ``normal="last"`` integrates the last (least important) rotated normal; "first" the most important one, which for a
    Bachelier basket after gradient PCA is the whole distribution, so that the labels are exact.
    """

    normal: Literal["first", "last"] = "first"


Estimator = Pathwise | Smoothed | Conditional


class UniformSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="uniform"):
    """Features uniform in the Box."""


class DiffusedSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="diffused"):
    """Spots at an exposure date, wings inflated: S = initial + multiplier sqrt(horizon) L z (Huge & Savine 2020)."""

    initial: tuple[float, ...]
    horizon: float = 1.0
    multiplier: float = 1.5

    def __post_init__(self) -> None:
        require_finite("initial", self.initial)
        for name, value in (("horizon", self.horizon), ("multiplier", self.multiplier)):
            if not (math.isfinite(value) and value > 0.0):
                raise InvalidSpec(f"{name} must be positive, got {value!r}", path=name, bound=0.0)


class MoneynessSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="moneyness"):
    """Uniform in the Box, then moved towards a corner until d = (F - K) / s is uniform in [-bound, bound]."""

    bound: float = 5.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bound) and self.bound > 0.0):
            raise InvalidSpec(f"bound must be positive, got {self.bound!r}", path="bound", bound=0.0)


class FlowSpec(Spec, frozen=True, kw_only=True):
    """The normalising flow that learns a table of states (`surrogate.flow`, `pruning.sparse_flow`).

    Args:
        hidden: widths of its field, a tanh network.
        steps: of the solver, between the Gaussian and the states.
        epochs: passes over the table; as many again after every step of the pruning.
        sparsity, method: what of the field to remove, and by which pruning method; none keeps it dense.
    """

    hidden: tuple[int, ...] = (32, 32)
    steps: int = 8
    epochs: int = 100
    sparsity: float | None = None
    method: str = "magnitude"

    def __post_init__(self) -> None:
        require_range("hidden", len(self.hidden), 1, 8)
        for width in self.hidden:
            require_range("hidden", width, 1, 512)
        require_range("steps", self.steps, 1, 1000)
        require_range("epochs", self.epochs, 1, MAXIMUM_FLOW_STEPS)
        if self.epochs * self.steps > MAXIMUM_FLOW_STEPS:
            raise InvalidSpec(
                f"epochs times steps must be at most {MAXIMUM_FLOW_STEPS}, got {self.epochs * self.steps}; a smooth "
                "law needs few steps",
                path="epochs",
                bound=MAXIMUM_FLOW_STEPS,
            )


class TableSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="table"):
    """Where the market goes: features by the law of historical states, those outside the Box drawn again.

    Args:
        states: one row a date, one column per coordinate of the Box, in its order and units. In a TOML file,
            ``table = "history.csv"`` (or .npz) beside it stands for them.
    """

    states: tuple[tuple[float, ...], ...]
    flow: FlowSpec = FlowSpec()

    def __post_init__(self) -> None:
        require_states(self.states)


Sampler = UniformSampler | DiffusedSampler | MoneynessSampler | TableSampler


class LabelSpec(Spec, frozen=True, kw_only=True):
    """How a data set of labels is simulated.

    Args:
        samples: N, number of feature vectors (power of two).
        paths: M, paths of one replicate (power of two).
        replicates: R independent scrambles or streams; the label is their mean and its standard error
            sd / sqrt(R). With 1 replicate no error is measured.
        directions: number of curvature directions a sample, 0 for none.
        direction_law: "random" (unit second moment, Hutchinson) or "pca" (principal axes of the delta labels).
        order: 0 value; 1 and delta; 2 and curvature along the directions.
    """

    samples: int = 512
    paths: int = 4096
    replicates: int = 8
    draws: Draws = Draws()
    estimator: Estimator = Smoothed()
    sampler: Sampler = MoneynessSampler()
    order: Literal[0, 1, 2] = 2
    directions: int = 1
    direction_law: Literal["random", "pca"] = "pca"

    def __post_init__(self) -> None:
        require_power_of_two("samples", self.samples, MAXIMUM_SAMPLES)
        require_power_of_two("paths", self.paths, MAXIMUM_PATHS)
        if not 1 <= self.replicates <= 64:
            raise InvalidSpec(f"replicates must be 1 to 64, got {self.replicates}", path="replicates", bound=[1, 64])
        evaluations = self.samples * self.paths * self.replicates
        if evaluations > MAXIMUM_EVALUATIONS:
            raise InvalidSpec(
                f"samples times paths times replicates must be at most {MAXIMUM_EVALUATIONS}, got {evaluations}; more "
                "replicates of fewer samples say as much",
                path="samples",
                bound=MAXIMUM_EVALUATIONS,
            )
        if self.draws.source == "antithetic" and self.paths < 2:
            raise InvalidSpec("paths must be at least 2 for antithetic draws", path="paths", bound=2)
        if self.order == 2 and isinstance(self.estimator, Pathwise):
            raise InvalidSpec(
                "order = 2 needs a smooth estimator: the kink of a raw payoff has no curvature on any path",
                path="order",
            )
        if self.order == 2 and not self.directions >= 1:
            raise InvalidSpec(
                f"directions must be at least 1 for order = 2, got {self.directions}", path="directions", bound=1
            )
