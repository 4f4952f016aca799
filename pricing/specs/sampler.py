"""Where labels are made."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, Spec, require_at_most, require_finite, require_range
from pricing.specs.states import require_states

# Solver steps through a table of states: 12,500 epochs of the 8 steps that a flow has if nothing is said.
MAXIMUM_FLOW_STEPS = 100_000
# Horizons in years, multipliers of a deviation, and deviations from the strike: others put all samples in one place, or
# nearly none into the Box.
LEAST_SPREAD, MOST_SPREAD = 1e-6, 1e3
# What refusals of samples around kinks end with.
UNIFORM = "sample all of the Box alike: labels.sampler = { kind = 'uniform' }"


class UniformSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="uniform"):
    """Features uniform in the Box."""


class DiffusedSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="diffused"):
    """Spots at an exposure date, wings inflated: S = initial + multiplier sqrt(horizon) L z (Huge & Savine 2020).

    Args:
        initial: spots today, currency, one per asset.
        horizon: years to the exposure date, > 0.
        multiplier: of the random part, > 0.
    """

    initial: tuple[float, ...]
    horizon: float = 1.0
    multiplier: float = 1.5

    def __post_init__(self) -> None:
        require_at_most("initial", self.initial, MAXIMUM_ASSETS)
        require_finite("initial", self.initial)
        for name, value in (("horizon", self.horizon), ("multiplier", self.multiplier)):
            require_range(name, value, LEAST_SPREAD, MOST_SPREAD)


class MoneynessSampler(Spec, frozen=True, kw_only=True, tag_field="kind", tag="moneyness"):
    """Uniform in the Box, then moved towards a corner until d = (F - K) / s is uniform in [-bound, bound].

    F is what decides the payoff, on the path of no shocks, and s its standard deviation, of performances where F is K.
    Of several knots, or with barriers, triggers and a knock-in, K is the first, and d goes on to the last one's bound.
    What the Box does not reach is left out; a sample that reaches nothing of it, for its strike or maturity say, stays
    where it was.

    Args:
        bound: largest |d|, in terminal standard deviations, > 0.
        share: of the samples that move; the others stay where they are, uniform in the Box. By default all move.
    """

    bound: float = 5.0
    share: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_range("bound", self.bound, LEAST_SPREAD, MOST_SPREAD)
        if self.share is not UNSET:
            require_range("share", self.share, 0.0, 1.0)


class FlowSpec(Spec, frozen=True, kw_only=True):
    """The normalising flow that learns a table of states (`surrogate.flows.flow`, `pruning.sparse_flow`).

    Args:
        hidden: widths of its field, a tanh network.
        steps: of the solver, between the Gaussian and the states.
        epochs: passes over the table; as many again after every step of the pruning.
        sparsity: share of the field's weights to remove; none keeps it dense.
        method: by which pruning method (`sobolite methods`).
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
        flow: the normalising flow that learns them.
    """

    states: tuple[tuple[float, ...], ...]
    flow: FlowSpec = FlowSpec()

    def __post_init__(self) -> None:
        require_states(self.states)


Sampler = UniformSampler | DiffusedSampler | MoneynessSampler | TableSampler
