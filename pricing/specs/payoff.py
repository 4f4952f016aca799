"""What is paid on the way or at the holder's choice, and the union of all payoffs."""

from __future__ import annotations

from typing import Literal, assert_never

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.asian import Asian as Asian
from pricing.specs.base import Spec, require_finite, require_range
from pricing.specs.dates import MAXIMUM_DATES, require_dates
from pricing.specs.european import BasketPayoff, BestOf, Call, Digital, Put, Side, WorstOf, require_levels
from pricing.specs.facts import PayoffFacts
from pricing.specs.parameters import Parameters, with_values
from pricing.specs.pieces import Pieces

# A strike is set no nearer to the ends of the contract than this share of its life.
EARLIEST_START = 1e-3
# Why no formula integrates a normal of a payoff that more than a terminal or average level decides.
NOT_TERMINAL = "integrates payoffs of the terminal or average level"


class ForwardStart(BasketPayoff, frozen=True, kw_only=True, tag="forward_start"):
    """Pays max(w . S_T - K w . S_t, 0) or max(K w . S_t - w . S_T, 0): a strike set at t as a share of the basket.

    Legs of a cliquet with the dates t_1 < t_2 < ... are options of this kind that start where the one before ends.

    Args:
        start: t, a share of the maturity, in (0, 1).
        strike: K, a share of the basket at t, > 0; 1 is at the money.
        side: "call" or "put".
    """

    start: float
    side: Side = "call"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("start", self.start, EARLIEST_START, 1.0 - EARLIEST_START)
        require_levels("strike", (self.strike,))

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        basket = "has no formula for a basket's strike that is set on the way"
        return PayoffFacts(
            dates=(self.start, 1.0),
            last_look=1.0,
            decided="dates",
            degree=1,
            levels=(),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=basket if self.assets > 1 else None,
            ranked=False,
            weights=self.weights,
            vanilla=False,
            sized_by="weights",
            positive_levels=None,
            strike_unit="1",
        )


class Barrier(Spec, frozen=True, kw_only=True, tag_field="kind", tag="barrier"):
    """A call or put on one asset that a touch of the barrier ends ("out") or starts ("in"); all eight kinds.

    Args:
        strike: K, currency.
        barrier: level, currency; > 0 where the process has positive levels.
        direction: "down" (touched from above) or "up".
        knock: "in" or "out".
        side: "call" or "put".
        dates: monitoring dates as shares of the maturity, increasing, in (0, 1]; empty means continuous monitoring. Of
            one that is running those still to come.
        touched: whether the barrier has been touched already: what is knocked in is priced as the call or put that it
            has become, what is knocked out is worth nothing.
    """

    strike: float
    barrier: float
    direction: Literal["down", "up"]
    knock: Literal["in", "out"]
    side: Side = "call"
    dates: tuple[float, ...] = ()
    touched: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_finite("strike", (self.strike,))
        require_finite("barrier", (self.barrier,))
        if self.dates:
            require_dates(self.dates)
        if self.touched is True and self.knock == "out":
            raise InvalidSpec(
                "touched: a barrier option that has been knocked out is worth nothing from then on, so there is "
                "nothing to learn; take it out of the book",
                path="touched",
            )

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return 1

    @property
    def parameters(self) -> Parameters:
        """What may vary."""
        return {"strike": (self.strike,), "barrier": (self.barrier,)}

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=self.dates if self.dates and self.dates[-1] == 1.0 else (*self.dates, 1.0),
            last_look=1.0,
            decided="dates" if self.dates else "always",
            degree=1,
            levels=("strike", "barrier"),
            jumps=True,
            flat=False,
            survives=bool(self.dates),
            unintegrated=NOT_TERMINAL,
            ranked=False,
            weights=(1.0,),
            vanilla=False,
            sized_by=None,
            positive_levels=None,
            strike_unit="currency",
        )


class Autocall(Spec, frozen=True, kw_only=True, tag_field="kind", tag="autocall"):
    """A note on the worst performance R = min_i S_i / initial_i.

    At date k with R >= triggers[k] the note pays its notional and the coupon that is due, and ends. A date with
    R >= coupon_barrier pays one ``coupon``, and with ``memory`` those missed since the last. Not called, it redeems at
    maturity the notional, or notional R / strike where R < knock_in. Of one that is running, dates and triggers are
    those still to come, and what the others have left is said by ``missed_coupons`` and ``knocked_in``.

    Args:
        initial: reference levels of the performances, currency, > 0, one per asset.
        dates: observation dates as shares of the maturity, increasing, in (0, 1], the last 1.
        triggers: one per date, in units of R, > 0.
        coupon: share of the notional, per date.
        coupon_barrier: least R that pays the coupon, > 0.
        knock_in: in units of R, observed at maturity; at most the strike, for a put pays nothing above it.
        strike: of the put that the investor is short, in units of R.
        memory: whether a coupon brings those missed before it.
        notional: currency, > 0.
        missed_coupons: coupons that past dates have missed and a memory still owes, 0 or more, in numbers of coupons.
        knocked_in: whether the put has been knocked in already, so that ``knock_in`` counts no more and it redeems
            notional R / strike wherever R < strike.
    """

    initial: tuple[float, ...]
    dates: tuple[float, ...]
    triggers: tuple[float, ...]
    coupon: float
    coupon_barrier: float
    knock_in: float
    strike: float = 1.0
    memory: bool = True
    notional: float = 1.0
    missed_coupons: float | UnsetType = UNSET
    knocked_in: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_levels("initial", self.initial)
        require_dates(self.dates)
        if self.dates[-1] != 1.0:
            raise InvalidSpec(f"dates: the last must be 1, the maturity, got {self.dates[-1]!r}", path="dates")
        require_levels("triggers", self.triggers)
        if len(self.triggers) != len(self.dates):
            raise InvalidSpec(
                f"triggers: give {len(self.dates)}, one per date, got {len(self.triggers)}", path="triggers"
            )
        require_range("coupon", self.coupon, 0.0, 10.0)
        require_levels("coupon_barrier", (self.coupon_barrier,))
        require_levels("knock_in", (self.knock_in,))
        require_levels("strike", (self.strike,))
        if self.knock_in > self.strike:
            raise InvalidSpec(
                f"knock_in must be at most the strike {self.strike:g} (a performance, 1 is at the initial levels), got "
                f"{self.knock_in!r}; above it the put that it knocks in is worth nothing",
                path="knock_in",
                bound=self.strike,
            )
        require_levels("notional", (self.notional,))
        if self.missed_coupons is not UNSET:
            require_range("missed_coupons", self.missed_coupons, 0.0, MAXIMUM_DATES)
            if not self.memory:
                raise InvalidSpec(
                    "missed_coupons: without memory a missed coupon is lost and nothing is owed; leave it out, or set "
                    "memory = true",
                    path="missed_coupons",
                )

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return len(self.initial)

    @property
    def parameters(self) -> Parameters:
        """What may vary: the knock-in while it counts, missed coupons where they are given."""
        knock_in = {} if self.knocked_in is True else {"knock_in": (self.knock_in,)}
        missed = {} if self.missed_coupons is UNSET else {"missed_coupons": (self.missed_coupons,)}
        return {**knock_in, "coupon_barrier": (self.coupon_barrier,), **missed}

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        return PayoffFacts(
            dates=self.dates,
            last_look=1.0,
            decided="dates",
            degree=None,
            levels=(),
            jumps=True,
            flat=False,
            survives=True,
            unintegrated=NOT_TERMINAL,
            ranked=True,
            weights=None,
            vanilla=False,
            sized_by="initial",
            positive_levels="",
            strike_unit="1",
        )


class Bermudan(Spec, frozen=True, kw_only=True, tag_field="kind", tag="bermudan"):
    """The holder may take the option's payoff at any one of the dates; many dates approach an American option.

    Args:
        option: what exercise pays: a call, put, worst_of or best_of.
        dates: exercise dates as shares of the maturity, increasing, in (0, 1], the last 1.
    """

    option: Call | Put | WorstOf | BestOf
    dates: tuple[float, ...]

    def __post_init__(self) -> None:
        require_dates(self.dates)
        if self.dates[-1] != 1.0:
            raise InvalidSpec(f"dates: the last must be 1, the maturity, got {self.dates[-1]!r}", path="dates")

    @property
    def assets(self) -> int:
        """Number of assets that it is written on."""
        return self.option.assets

    @property
    def parameters(self) -> Parameters:
        """What may vary."""
        return self.option.parameters

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it: its option's, but for when it pays."""
        option = self.option.facts
        return PayoffFacts(
            dates=self.dates,
            last_look=1.0,
            decided="holder",
            degree=1,
            levels=("strike",),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=NOT_TERMINAL,
            ranked=option.ranked,
            weights=option.weights,
            vanilla=False,
            sized_by=f"option.{option.sized_by}",
            positive_levels=None,
            strike_unit=option.strike_unit,
        )


Payoff = Call | Put | Digital | Pieces | WorstOf | BestOf | Asian | ForwardStart | Barrier | Autocall | Bermudan


def as_it_stands(payoff: Payoff) -> Payoff:
    """What a payoff has become by what has happened: a touched barrier option that it starts is a call or put."""
    if not isinstance(payoff, Barrier) or payoff.touched is not True:
        return payoff
    return (Call if payoff.side == "call" else Put)(weights=(1.0,), strike=payoff.strike)


def with_levels(payoff: Payoff, values: Parameters) -> Payoff:
    """The payoff with other values of some of its parameters."""
    match payoff:
        case Bermudan(option=option):
            return replace(payoff, option=with_values(option, values))
        case Call() | Put() | Digital() | Pieces() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return with_values(payoff, values)
        case Barrier() | Autocall():
            return with_values(payoff, values)
        case _:
            assert_never(payoff)
