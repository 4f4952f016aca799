"""What the facts of a payoff claim, checked on random paths of positive levels around 100.

Every function takes a payoff and raises AssertionError where a fact is false. Where the holder or the time between the
dates decides, `pricing.simulation.payoffs.cash` is what the dates alone would pay, and claims about more are left to
the estimators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import attrgetter

import torch
from torch import Tensor

from pricing.simulation import payoffs
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario
from pricing.specs.base import dump, load
from pricing.specs.parameters import PARAMETERS
from pricing.specs.payoff import Payoff, with_levels

LEVEL, SPREAD, RATE = 100.0, 0.25, 0.05
PATHS = 256
# Factors of levels that are scaled, two of them exact in floating point.
FACTORS = (0.5, 1.37, 2.0)
# Scans of one level that look for jumps: paths, cells, halvings of a cell, least jump as a share of the largest cash,
# and least kink as one of the largest slope, where every event is as wide as a share of its own size.
SCANNED, CELLS, HALVINGS, LEAST_JUMP, LEAST_KINK, WIDTH = 16, 64, 30, 1e-6, 1e-5, 0.2
ROUNDING = 1e-9


def own(payoff: Payoff, **others: tuple[float, ...]) -> Scenario:
    """The payoff's parameters, some of them with other values, and a maturity of one year."""
    values = {"maturity": (1.0,), **payoff.parameters, **others}
    return Scenario(
        parameters={name: torch.tensor(numbers, dtype=torch.float64)[None, None] for name, numbers in values.items()}
    )


def walks(payoff: Payoff, *, paths: int = PATHS, seed: int = 0) -> Tensor:
    """Positive levels at the payoff's dates. Shape: -> path date asset."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(paths, len(payoff.facts.dates), payoff.assets, generator=generator, dtype=torch.float64)
    return LEVEL * torch.exp(SPREAD * steps.cumsum(dim=1))


def over(payoff: Payoff, levels: Tensor) -> Paths:
    """Paths with these levels. Shape: levels path date asset."""
    shares = torch.tensor(payoff.facts.dates, dtype=torch.float64)
    noise = levels[None]
    return Paths(
        forward=torch.zeros_like(noise[:, :1]),
        noise=noise,
        law="additive",
        discount=torch.exp(-RATE * shares)[None, None],
    )


def pays(payoff: Payoff, levels: Tensor, at: Scenario | None = None) -> Tensor:
    """Cash on every path. Shape: path date asset -> path."""
    return payoffs.cash(payoff, over(payoff, levels), at or own(payoff))[0]


def event(payoff: Payoff, levels: Tensor, *, date: int = -1) -> Tensor:
    """The event that decides at a date. Shape: path date asset -> path."""
    return payoffs.moneyness(payoff, over(payoff, levels), own(payoff), date=date)[0]


def slopes(values: Tensor, levels: Tensor) -> Tensor:
    """Derivatives of each path's value by its levels, 0 where it has none. Shape: -> path date asset."""
    (slope,) = torch.autograd.grad((values + 0.0 * levels.sum()).sum(), levels)
    return slope


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two cash flows are equal but for rounding."""
    return bool(((first - second).abs() <= ROUNDING * (1.0 + first.abs().max())).all())


def check_statement(payoff: Payoff) -> None:
    """It states its facts itself, is no kind of another one, and survives being written and read."""
    leaf = type(payoff)
    assert "facts" in vars(leaf), f"{leaf.__name__} inherits its facts; give it a property `facts` of its own"
    parents = [base.__name__ for base in leaf.__mro__[1:] if "facts" in vars(base)]
    assert not parents, f"{leaf.__name__} is also a {parents[0]}, whose case of a match would take it"
    assert load(leaf, dump(payoff)) == payoff


def check_parameters(payoff: Payoff) -> None:
    """Its parameters are fields of it, which `with_levels` replaces and whose values cash takes from the scenario."""
    assert with_levels(payoff, payoff.parameters) == payoff
    levels = walks(payoff)
    for name, values in payoff.parameters.items():
        assert name in PARAMETERS, f"{name} is not in pricing/specs/parameters.py"
        changed = {name: tuple(0.97 * value for value in values)}
        moved = with_levels(payoff, changed)
        assert moved.parameters == {**payoff.parameters, **changed}, f"with_levels does not replace {name}"
        there = own(payoff, **changed)
        assert same(pays(payoff, levels, there), pays(moved, levels)), (
            f"cash takes {name} from the payoff, not from `at`"
        )
        if payoff.facts.decided != "always":
            assert not same(pays(payoff, levels, there), pays(payoff, levels)), f"{name} does not move cash"


def check_dates(payoff: Payoff) -> None:
    """Cash depends on the levels at the dates that ``decided`` and ``last_look`` say, and on no others."""
    facts, levels, dates = payoff.facts, walks(payoff), payoff.facts.dates
    assert dates[-1] == 1.0, f"dates must end with 1, the maturity, got {dates}"
    assert list(dates) == sorted(set(dates)), f"dates must increase, got {dates}"
    assert dates[0] > 0.0, f"dates are shares of the maturity in (0, 1], got {dates}"
    assert facts.last_look in dates, f"last_look {facts.last_look} is none of the dates {dates}"
    if facts.decided == "always":
        return
    matters = [
        not same(pays(payoff, levels), pays(payoff, redrawn(payoff, levels, date))) for date in range(len(dates))
    ]
    last = dates.index(facts.last_look)
    assert matters[last], f"the level at last_look = {facts.last_look} does not move cash"
    assert not any(matters[last + 1 :]), f"cash depends on levels after last_look = {facts.last_look}"
    if facts.decided in ("maturity", "holder"):
        assert facts.last_look == 1.0, f"decided = {facts.decided!r} looks at the maturity"
        assert not any(matters[:-1]), f"decided = {facts.decided!r}, but cash depends on dates before the maturity"
    elif facts.decided == "dates":
        assert len(dates) == 1 or any(matters[:-1]), "decided = 'dates', but the maturity alone decides"
    else:
        check_average(payoff, levels[:, : last + 1], levels[:, last + 1 :])


def redrawn(payoff: Payoff, levels: Tensor, date: int) -> Tensor:
    """The levels with others at one date. Shape: path date asset -> the same."""
    changed = levels.clone()
    changed[:, date] = walks(payoff, seed=1)[:, date]
    return changed


def check_average(payoff: Payoff, averaged: Tensor, later: Tensor) -> None:
    """Cash is the same in whatever order the dates come, and moves with every one of them where it moves at all."""
    turned = torch.cat([averaged.flip(dims=(1,)), later], dim=1)
    assert same(pays(payoff, torch.cat([averaged, later], dim=1)), pays(payoff, turned)), (
        "decided = 'average', but the order of the dates matters"
    )
    levels = torch.cat([averaged, later], dim=1).requires_grad_()
    moves = (slopes(pays(payoff, levels), levels)[:, : averaged.shape[1]] != 0.0).any(dim=2)
    assert bool((moves.all(dim=1) == moves.any(dim=1)).all()), "decided = 'average', but single dates decide"


def check_degree(payoff: Payoff) -> None:
    """Cash scales with the levels and the parameters that are levels as ``degree`` says, and not where it is None."""
    facts, levels = payoff.facts, walks(payoff)
    for name in facts.levels:
        assert name in payoff.parameters, f"{name} in levels is no parameter of the payoff"
        assert PARAMETERS[name].scaling == "level", f"{name} in levels is no level in pricing/specs/parameters.py"
    if facts.decided == "always":
        return
    scales = {degree: all(scaled(payoff, levels, factor, degree) for factor in FACTORS) for degree in (0, 1)}
    assert bool((pays(payoff, levels) != 0.0).any()), "cash is 0 on every path around 100: give an instance that pays"
    if facts.degree is None:
        assert not any(scales.values()), f"degree = None, but cash scales: {scales}"
    else:
        assert scales[facts.degree], f"degree = {facts.degree}, but cash does not scale so in levels and {facts.levels}"


def scaled(payoff: Payoff, levels: Tensor, factor: float, degree: int) -> bool:
    """Whether cash(l S, l p) = l^n cash(S, p) on every path."""
    moved: Mapping[str, tuple[float, ...]] = {
        name: tuple(factor * value for value in payoff.parameters[name]) for name in payoff.facts.levels
    }
    return same(pays(payoff, factor * levels, own(payoff, **moved)), factor**degree * pays(payoff, levels))


def check_jumps(payoff: Payoff) -> None:
    """A scan of every single level meets a jump if there is one, and cash is flat beside it as it says."""
    facts = payoff.facts
    if facts.decided == "always":
        return
    levels = walks(payoff).requires_grad_()
    still = not bool((slopes(pays(payoff, levels), levels) != 0.0).any())
    assert still == facts.flat, f"flat = {facts.flat}, but cash {'never' if still else 'also'} moves between its jumps"
    steepest = largest_jump(payoff, partial(pays, payoff))
    jumps = steepest > LEAST_JUMP * float(pays(payoff, walks(payoff)).abs().max())
    assert jumps == facts.jumps, f"jumps = {facts.jumps}, but the largest jump along one level is {steepest:.3g}"


def check_smoothing(payoff: Payoff) -> None:
    """Cash over smooth edges has neither jumps nor kinks: every one of its own goes through `Edges`."""
    if payoff.facts.decided == "always":
        return
    measured = Sizes(sizes=[])
    payoffs.cash(payoff, over(payoff, walks(payoff)), own(payoff), measured)

    def smooth(levels: Tensor) -> Tensor:
        edges = payoffs.Smooth(kernel="gaussian", widths=iter([WIDTH * size for size in measured.sizes]))
        return payoffs.cash(payoff, over(payoff, levels), own(payoff), edges)[0]

    def slope(levels: Tensor) -> Tensor:
        at = levels.detach().requires_grad_()
        return slopes(smooth(at), at).flatten(start_dim=1)

    size = float(slope(walks(payoff)).abs().max())
    assert largest_jump(payoff, smooth) <= LEAST_JUMP * LEVEL * size, "cash jumps outside of edges.step"
    assert largest_jump(payoff, slope) <= LEAST_KINK * size, "cash has a kink outside of edges.ramp and edges.lowest"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The payoff as it is, noting how large every event is. Shape: each 1 1."""

    sizes: list[Tensor]

    def ramp(self, x: Tensor) -> Tensor:
        """X^+."""
        self.sizes.append(x.abs().mean()[None, None])
        return torch.relu(x)

    def step(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0."""
        self.sizes.append(x.abs().mean()[None, None])
        return (x > 0.0).to(x.dtype)

    def lowest(self, levels: Tensor) -> Tensor:
        """The minimum, by the same events as `Smooth.lowest`."""
        return reduce(lambda low, other: low - self.ramp(low - other), levels.unbind(dim=-1))


def largest_jump(payoff: Payoff, function: Callable[[Tensor], Tensor]) -> float:
    """The most that a function of the paths changes over a cell of one level halved until only a jump is left."""
    places = [(date, asset) for date in range(len(payoff.facts.dates)) for asset in range(payoff.assets)]
    return max(scanned(walks(payoff, paths=SCANNED), function, date=date, asset=asset) for date, asset in places)


def scanned(levels: Tensor, function: Callable[[Tensor], Tensor], *, date: int, asset: int) -> float:
    """The same along the level of one asset at one date, on several paths. Shape: levels path date asset."""

    def at(level: Tensor) -> Tensor:
        spread = levels[:, None].expand(-1, level.shape[1], -1, -1).clone()
        spread[..., date, asset] = level
        return function(spread.flatten(end_dim=1)).reshape(*level.shape, -1)

    grid = (LEVEL * torch.linspace(0.3, 3.0, CELLS + 1, dtype=torch.float64)).expand(len(levels), -1)
    low, high = grid[:, :-1], grid[:, 1:]
    below, above = at(low), at(high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        here = at(middle)
        left = (here - below).abs().amax(dim=-1) > (above - here).abs().amax(dim=-1)
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
        below = torch.where(left[..., None], below, here)
        above = torch.where(left[..., None], here, above)
    return float((above - below).abs().max())


def check_ranking(payoff: Payoff) -> None:
    """The event moves with one asset alone where ``ranked``, and with several where not."""
    if payoff.assets == 1:
        return
    levels = walks(payoff).requires_grad_()
    several = bool(((slopes(event(payoff, levels), levels) != 0.0).sum(dim=2) > 1).any())
    assert several != payoff.facts.ranked, (
        f"ranked = {payoff.facts.ranked}, but {'several assets move' if several else 'one asset moves'} it"
    )


def check_weights(payoff: Payoff) -> None:
    """Assets that move and leave w . S where it is leave cash and event where they are."""
    weights = payoff.facts.weights
    if weights is None:
        return
    assert len(weights) == payoff.assets, f"weights must be {payoff.assets}, one per asset, got {len(weights)}"
    levels, w = walks(payoff), torch.tensor(weights, dtype=torch.float64)
    turned = levels.roll(1, dims=0) - levels
    along = turned - (turned @ w)[..., None] * w / w.dot(w)
    moved = levels + 0.3 * along
    assert same(pays(payoff, levels), pays(payoff, moved)), "cash depends on more than the basket of `weights`"
    assert same(event(payoff, levels), event(payoff, moved)), "the event depends on more than the basket of `weights`"


def check_vanilla(payoff: Payoff) -> None:
    """It pays max(w . S_T - K, 0) or max(K - w . S_T, 0)."""
    facts = payoff.facts
    if not facts.vanilla:
        return
    assert facts.decided == "maturity", f"vanilla, but decided = {facts.decided!r}"
    assert facts.weights is not None, "vanilla without weights"
    levels = walks(payoff)
    ahead = levels[:, -1] @ torch.tensor(facts.weights, dtype=torch.float64) - payoff.parameters["strike"][0]
    assert any(same(pays(payoff, levels), (sign * ahead).clamp(min=0.0)) for sign in (1.0, -1.0)), "not vanilla"


def check_fields(payoff: Payoff) -> None:
    """The fields that facts name are there, one entry per asset in ``sized_by``, and reasons are words."""
    facts = payoff.facts
    if facts.sized_by is None:
        assert payoff.assets == 1, "sized_by = None is for payoffs on one asset"
    else:
        entries = attrgetter(facts.sized_by)(payoff)
        assert len(entries) == payoff.assets, f"{facts.sized_by} has {len(entries)} entries for {payoff.assets} assets"
    if facts.positive_levels:
        attrgetter(facts.positive_levels)(payoff)
    if facts.positive_levels is None and facts.decided != "always":
        check_negative(payoff)
    assert facts.unintegrated is None or len(facts.unintegrated.split()) > 2, "unintegrated is a reason in words"
    if "strike" in payoff.parameters:
        assert facts.strike_unit in ("currency", "1")


def check_negative(payoff: Payoff) -> None:
    """Cash of negative levels is finite, with its derivatives by levels and parameters."""
    levels, at = (walks(payoff) - LEVEL).requires_grad_(), own(payoff)
    moving = [parameter.requires_grad_() for parameter in at.parameters.values()]
    cash = pays(payoff, levels, at)
    still = 0.0 * (levels.sum() + sum(parameter.sum() for parameter in moving))
    slopes_of = torch.autograd.grad((cash + still).sum(), [levels, *moving])
    assert all(bool(torch.isfinite(numbers).all()) for numbers in (cash, *slopes_of)), (
        "positive_levels = None, but cash of negative levels or a derivative of it is not finite"
    )


CHECKS = (
    check_statement,
    check_parameters,
    check_dates,
    check_degree,
    check_jumps,
    check_smoothing,
    check_ranking,
    check_weights,
    check_vanilla,
    check_fields,
)
