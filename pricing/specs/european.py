"""What is paid on levels at maturity: options on a basket, and on the worst or best of several assets.

A payoff names its parameters, every one of which may be a feature of the surrogate, and states its facts.
"""

from __future__ import annotations

from typing import Literal

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, Spec, require_at_most, require_finite, require_range
from pricing.specs.facts import PayoffFacts
from pricing.specs.parameters import Parameters

Side = Literal["call", "put"]
# Levels in one list: one per asset or one per date.
MAXIMUM_LEVELS = 1_024


class BasketPayoff(Spec, frozen=True, kw_only=True, tag_field="kind"):
    """A payoff of the basket B = w . S_T against a strike.

    Args:
        weights: w, one per asset, of any sign (a spread: 1 and -1).
        strike: K, currency.
    """

    weights: tuple[float, ...]
    strike: float

    def __post_init__(self) -> None:
        require_weights(self.weights)
        require_finite("strike", (self.strike,))

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return len(self.weights)

    @property
    def parameters(self) -> Parameters:
        """What may vary."""
        return {"strike": (self.strike,)}


class Call(BasketPayoff, frozen=True, kw_only=True, tag="call"):
    """Pays max(w . S_T - K, 0)."""

    @property
    def side(self) -> Side:
        """Where it gains against its strike."""
        return "call"

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=1,
            levels=("strike",),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=None,
            ranked=False,
            weights=self.weights,
            vanilla=True,
            sized_by="weights",
            positive_levels=None,
            strike_unit="currency",
        )


class Put(BasketPayoff, frozen=True, kw_only=True, tag="put"):
    """Pays max(K - w . S_T, 0)."""

    @property
    def side(self) -> Side:
        """Where it gains against its strike."""
        return "put"

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=1,
            levels=("strike",),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=None,
            ranked=False,
            weights=self.weights,
            vanilla=True,
            sized_by="weights",
            positive_levels=None,
            strike_unit="currency",
        )


class Digital(BasketPayoff, frozen=True, kw_only=True, tag="digital"):
    """Pays ``cash`` where w . S_T lies above the strike ("call") or below it ("put").

    Args:
        side: where it pays.
        cash: what it pays, currency, > 0.
    """

    side: Side = "call"
    cash: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("cash", self.cash, 1e-300, 1e300)

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=0,
            levels=("strike",),
            jumps=True,
            flat=True,
            survives=False,
            unintegrated=None,
            ranked=False,
            weights=self.weights,
            vanilla=False,
            sized_by="weights",
            positive_levels=None,
            strike_unit="currency",
        )


class Ranked(Spec, frozen=True, kw_only=True, tag_field="kind"):
    """A payoff of one ranked performance R_i = S_T,i / initial_i against a strike.

    Args:
        initial: reference levels of the performances, currency, > 0, one per asset.
        strike: K, a performance like R (1.0 is at the initial levels); with every initial level 1, in currency.
        side: "call" or "put" on the ranked performance.
    """

    initial: tuple[float, ...]
    strike: float
    side: Side = "call"

    def __post_init__(self) -> None:
        require_levels("initial", self.initial)
        require_finite("strike", (self.strike,))

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return len(self.initial)

    @property
    def parameters(self) -> Parameters:
        """What may vary."""
        return {"strike": (self.strike,)}

    @property
    def strike_unit(self) -> Literal["currency", "1"]:
        """Of performances none, unless every initial level is 1."""
        return "currency" if set(self.initial) == {1.0} else "1"


class WorstOf(Ranked, frozen=True, kw_only=True, tag="worst_of"):
    """Pays max(min_i R_i - K, 0) ("call") or max(K - min_i R_i, 0) ("put")."""

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=1,
            levels=("strike",),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=None,
            ranked=True,
            weights=None,
            vanilla=False,
            sized_by="initial",
            positive_levels=None,
            strike_unit=self.strike_unit,
        )


class BestOf(Ranked, frozen=True, kw_only=True, tag="best_of"):
    """Pays max(max_i R_i - K, 0) ("call") or max(K - max_i R_i, 0) ("put")."""

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=(1.0,),
            last_look=1.0,
            decided="maturity",
            degree=1,
            levels=("strike",),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=None,
            ranked=True,
            weights=None,
            vanilla=False,
            sized_by="initial",
            positive_levels=None,
            strike_unit=self.strike_unit,
        )


def require_weights(weights: tuple[float, ...]) -> None:
    """Raise InvalidSpec unless the weights are finite and one is not zero."""
    require_at_most("weights", weights, MAXIMUM_ASSETS)
    require_finite("weights", weights)
    if not any(weights):
        raise InvalidSpec("weights must not all be zero", path="weights")


def require_levels(name: str, levels: tuple[float, ...]) -> None:
    """Raise InvalidSpec unless there is at least one level and every one is finite and > 0."""
    require_at_most(name, levels, MAXIMUM_LEVELS)
    require_finite(name, levels)
    if not levels or min(levels) <= 0.0:
        raise InvalidSpec(f"{name}: levels must be > 0, at least one, got {list(levels)}", path=name, bound=0.0)
