"""What the facts of a process claim, checked on its own simulation.

Every function takes a process and raises AssertionError where a fact is false. Where a fact is the careful answer,
False or a reason, it is checked only where it would be plainly wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from msgspec import UNSET
from msgspec.structs import replace
from torch import Tensor

from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import Scenario, clock, correlation, growth, scenario, times
from pricing.specs.base import dump, load
from pricing.specs.european import Call
from pricing.specs.parameters import PARAMETERS, with_values
from pricing.specs.problem import unit
from pricing.specs.process import Process
from pricing.specs.schedule import Piece
from tests.conformance.density import check_density
from tests.conformance.estimates import LEVEL, place, problem
from tests.conformance.laws import (
    ERRORS,
    GRID_BIAS,
    PATHS,
    SETS,
    check_derivatives_by_law,
    check_jumps_in_parameters,
    check_martingale,
)
from tests.conformance.walks import DATES, ROUNDING, close, coordinate, levels, normals, own, replaced, until, walk

# Share of a move by all normals that counts as none.
LITTLE = 0.1
# Before the first dividend and piece of any instance.
SHORT = (0.1, 0.2)
# Where a dividend or a piece of some instance lies between two.
SPREAD = (0.3, 0.5, 1.0)
RATE_OF_EXCHANGE = 7.0


def check_statement(process: Process) -> None:
    """It states its facts itself, is no kind of another one, and survives being written and read."""
    leaf, facts = type(process), process.facts
    for name in (*facts.randomness, *facts.constant):
        assert name in process.parameters, f"{name} is no parameter of a {leaf.__name__}"
    assert "facts" in vars(leaf), f"{leaf.__name__} inherits its facts; give it a property `facts` of its own"
    parents = [base.__name__ for base in leaf.__mro__[1:] if "facts" in vars(base)]
    assert not parents, f"{leaf.__name__} is also a {parents[0]}, whose case of a match would take it"
    assert load(leaf, dump(process)) == process
    for reason in (facts.unaffine, facts.unopened, facts.unscaled, *facts.constant.values()):
        assert reason is None or len(reason.split()) > 2, f"{reason!r} is no reason in words"


def check_parameters(process: Process) -> None:
    """Its parameters are fields of it, which `with_values` replaces and whose values paths take from the scenario."""
    z = normals(process, DATES, paths=16)
    plain = walk(process, own(process), z)
    for name, values in process.parameters.items():
        assert name in PARAMETERS, f"{name} is not in pricing/specs/parameters.py"
        there = own(process, **{name: tuple(0.9 * value + 0.01 for value in values)})
        moved = walk(process, there, z)
        still = close(levels(plain), levels(moved)) and close(plain.discount, moved.discount)
        assert not still, f"{name} moves neither levels nor discount: paths take it from the process, not from `at`"
        if PARAMETERS[name].pieces is not None:
            continue
        changed = {name: tuple(0.9 * value + 0.01 for value in values)}
        other = with_values(process, changed)
        assert other.parameters == {**process.parameters, **changed}, f"with_values does not replace {name}"
        again = walk(other, own(other), z)
        assert close(levels(moved), levels(again)), f"{name} of the process and of the scenario mean different things"


def check_law(process: Process) -> None:
    """Paths are of the law that is stated, in the shapes of `Paths`, and levels stay positive where it says so."""
    facts, z = process.facts, normals(process, DATES, paths=64)
    paths = walk(process, own(process), 3.0 * z)
    assert paths.law == facts.law, f"law = {facts.law!r}, but paths are {paths.law!r}"
    shape = (1, 1, len(DATES), process.assets)
    assert paths.forward.shape == shape, f"forward has the shape {tuple(paths.forward.shape)}, not {shape}"
    assert paths.noise.shape == (1, 64, *shape[2:])
    assert paths.discount.shape == shape[:3]
    assert bool(torch.isfinite(levels(paths)).all()), "levels are not finite three deviations out"
    assert not facts.positive or bool((levels(paths) >= 0.0).all()), "law = 'multiplicative', but levels are negative"


def check_pieces(process: Process) -> None:
    """A piece that changes nothing leaves the paths alone; one that does moves them from its start on, by the carry."""
    if process.rate_pieces or process.volatility_pieces:
        return
    z, start = normals(process, DATES, paths=16), sum(DATES) / 2.0
    plain = levels(walk(process, own(process), z))
    for name, same, other in (("volatility_pieces", 1.0, 1.5), ("rate_pieces", process.rate, process.rate + 0.1)):
        if name == "rate_pieces" and "rate" not in process.parameters:
            continue
        alike, changed = (replace(process, **{name: (Piece(start=start, value=value),)}) for value in (same, other))
        assert close(plain, levels(walk(alike, own(alike), z))), f"{name} that change nothing move the paths"
        moved = levels(walk(changed, own(changed), z))
        assert close(plain[:, :, 0], moved[:, :, 0]), f"{name} move the paths before they start"
        told = name == "volatility_pieces" or process.facts.carried
        assert not told or not close(plain[:, :, 1], moved[:, :, 1]), f"{name} do not move the paths"
        check_forward(changed)


def check_forward(process: Process) -> None:
    """The mean of the levels is the spot with its carry and the stated dividends, and the discount that of the rate.

    Where levels are not ``carried`` their mean may be anything.
    """
    sets = [normals(process, SPREAD, paths=PATHS, seed=seed) for seed in range(SETS)]
    means = torch.stack([levels(walk(process, own(process), z, SPREAD))[0].mean(dim=0) for z in sets])
    error = means.std(dim=0) / SETS**0.5
    expected, discounts = carried(process, SPREAD)
    share = GRID_BIAS if process.facts.grid is not None else ROUNDING
    missed = (means.mean(dim=0) - expected).abs()
    carried_ = bool((missed <= ERRORS * error + share * expected).all())
    assert carried_ or not process.facts.carried, (
        f"levels are {means.mean(dim=0).tolist()} on average at {SPREAD}, not {expected.tolist()}, their carry and "
        f"{len(process.facts.dividends)} dividends"
    )
    discount = walk(process, own(process), sets[0], SPREAD).discount[0, 0]
    assert close(discount, discounts), f"discount is {discount.tolist()}, not {discounts.tolist()}"


def carried(process: Process, dates: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Forward levels and discount factors at the dates, event by event. Shape: -> date asset; date."""
    forward, paid, before = torch.full((process.assets,), LEVEL, dtype=torch.float64), 0.0, 0.0
    yields = torch.tensor(process.parameters.get("dividend_yield", (0.0,) * process.assets), dtype=torch.float64)
    dividends = list(process.facts.dividends)
    events = sorted({*dates, *(d.time for d in dividends), *(p.start for p in process.rate_pieces)})
    rows, factors = [], []
    for time in (event for event in events if event <= dates[-1]):
        rates = [process.rate, *(piece.value for piece in process.rate_pieces if piece.start <= before)]
        forward = forward * torch.exp((rates[-1] - yields) * (time - before))
        paid, before = paid + rates[-1] * (time - before), time
        for dividend in dividends:
            if dividend.time == time:
                forward[dividend.asset] = forward[dividend.asset] * (1.0 - dividend.proportion) - dividend.amount
        if time in dates:
            rows.append(forward.clone())
            factors.append(np.exp(-paid))
    return torch.stack(rows), torch.tensor(factors, dtype=torch.float64)


def check_affinity(process: Process) -> None:
    """S or ln S is affine in the normals of its dates, date by date and in the first block, unless ``unaffine``."""
    count, facts = len(DATES), process.facts
    each = process.assets
    apart = blocks(process, count)[0] == count * each and all(
        moves_alone(process, slice(date * each, (date + 1) * each), date) for date in range(count)
    )
    affine = apart and is_affine(process, slice(0, count * each))
    assert affine == (facts.unaffine is None), (
        f"unaffine = {facts.unaffine!r}, but the levels are {'' if affine else 'not '}affine in their dates' normals"
    )


def is_affine(process: Process, columns: slice, dates: Sequence[float] = DATES) -> bool:
    """Whether the coordinate is affine in these normals, given the others."""
    z, other = (normals(process, dates, paths=16, seed=seed) for seed in (1, 2))
    ends = [coordinate(process, own(process), ends_at, dates) for ends_at in (z, replaced(z, columns, other))]
    middle = replaced(z, columns, 0.5 * (z + other))
    return close(0.5 * (ends[0] + ends[1]), coordinate(process, own(process), middle, dates))


def moves_alone(process: Process, columns: slice, date: int) -> bool:
    """Whether these normals move no step but that to one date."""
    z, other = (normals(process, DATES, paths=16, seed=seed) for seed in (1, 2))
    ends = [coordinate(process, own(process), ends_at) for ends_at in (z, replaced(z, columns, other))]
    moved = torch.diff(ends[1] - ends[0], dim=1, prepend=torch.zeros_like(ends[0][:, :1])).abs().amax(dim=(0, 2))
    return all(k == date or float(size) <= ROUNDING for k, size in enumerate(moved))


def check_opening(process: Process) -> None:
    """Given the others, S or ln S is affine in the first block, which is every step's or the last step's own."""
    facts, count = process.facts, len(DATES)
    size = blocks(process, count)[0]
    wanted = process.assets * (count if facts.opened == "every step" else 1)
    block = slice(0, size)
    z, other = (normals(process, DATES, paths=16, seed=seed) for seed in (1, 2))
    slope = coordinate(process, own(process), replaced(z, block, other)) - coordinate(process, own(process), z)
    moves = bool(slope[:, -1].abs().amax() > ROUNDING)
    open_ = size == wanted and moves and is_affine(process, block)
    whole = coordinate(process, own(process), other) - coordinate(process, own(process), z)
    little = bool(slope.abs().amax() < LITTLE * whole.abs().amax())  # as where steps alone leave a noise of one's own
    assert open_ == (facts.unopened is None) or (little and facts.unopened is not None), (
        f"opened = {facts.opened!r}, unopened = {facts.unopened!r}, but the first {size} normals are "
        f"{'' if open_ else 'not '}such that one can be integrated"
    )
    last = slice(size - process.assets, size)
    assert not open_ or moves_alone(process, last, count - 1), "the first block does not end with the last step"


def check_slopes(process: Process) -> None:
    """Other normals change the slopes of the first block where the noise is random or of its level, else not."""
    facts, z = process.facts, normals(process, DATES, paths=16, seed=1)
    one = torch.zeros_like(z)
    one[..., 0] = 1.0
    z = replaced(z, slice(0, blocks(process, len(DATES))[0]), torch.zeros_like(z))
    slopes = coordinate(process, own(process), z + one) - coordinate(process, own(process), z)
    alike = close(slopes, slopes[:1].expand_as(slopes))
    assert alike or not facts.shared_noise, "shared_noise, but the normals move every path differently"
    random = facts.random_variance or facts.level_noise
    assert facts.unopened is not None or alike != random, (
        f"random_variance or level_noise = {random}, but slopes are {'alike' if alike else 'not alike'}"
    )


def check_units(process: Process) -> None:
    """Levels in another currency are those of the parameters whose unit holds it, in that currency."""
    if process.facts.unscaled is not None or process.facts.pays_cash:
        return  # a surface or a dividend in currency is no parameter
    z, asked = normals(process, DATES, paths=16), problem(process, basket(process))
    held = [name for name in process.parameters if "currency" in unit(asked, name)]
    others = {name: [RATE_OF_EXCHANGE * value for value in process.parameters[name]] for name in held}
    dear = own(process, spot=(RATE_OF_EXCHANGE * LEVEL,) * process.assets, **others)
    assert close(RATE_OF_EXCHANGE * levels(walk(process, own(process), z)), levels(walk(process, dear, z))), (
        f"{held} are the parameters in currency, but levels in another one are not its multiple"
    )


def basket(process: Process) -> Call:
    """A call on the sum of the assets."""
    return Call(weights=(1.0,) * process.assets, strike=LEVEL)


def check_level_noise(process: Process) -> None:
    """Noise is the same from whatever level a step starts, unless ``level_noise``; of cash dividends none is kept."""
    if process.facts.pays_cash:
        return
    z = normals(process, DATES, paths=16)
    near, far = (walk(process, own(process, spot=(spot,) * process.assets), z).noise for spot in (LEVEL, 0.7 * LEVEL))
    assert close(near, far) != process.facts.level_noise, f"level_noise = {process.facts.level_noise} is wrong"


def check_increments(process: Process) -> None:
    """S_t / S_k, or S_t - e^G S_k, is the same whatever moved S_k."""
    if not process.facts.independent_increments:
        return
    z, other = (normals(process, DATES, paths=16, seed=seed) for seed in (1, 2))
    plain = steps_from(process, own(process), z)
    assert close(plain, steps_from(process, own(process, spot=(0.7 * LEVEL,) * process.assets), z)), (
        "independent_increments, but the step after the first date depends on the spot"
    )
    base = walk(process, own(process), z).noise[:, :, 0]
    for column in range(z.shape[-1]):
        moved = replaced(z, slice(column, column + 1), other)
        if not close(base, walk(process, own(process), moved).noise[:, :, 0]):
            assert close(plain, steps_from(process, own(process), moved)), (
                "independent_increments, but what moved S_k moves S_t / S_k"
            )


def steps_from(process: Process, at: Scenario, z: Tensor) -> Tensor:
    """S_t / S_k or S_t - e^G S_k of the two dates. Shape: -> 1 path asset."""
    first, second = levels(walk(process, at, z)).unbind(dim=2)
    if process.facts.law == "multiplicative":
        return second / first
    grown = torch.exp(growth(process, at, until(DATES)))
    return second - grown[:, :, 1] / grown[:, :, 0] * first


def loadings(process: Process, at: Scenario, dates: Sequence[float]) -> Tensor:
    """How the coordinate moves with every normal, all others 0. Shape: -> date asset normal."""
    dimension = sum(blocks(process, len(dates)))
    z = torch.cat([torch.zeros(1, dimension), torch.eye(dimension)]).double()[None]
    y = coordinate(process, at, z, dates)
    return (y[1:] - y[:1]).permute(1, 2, 0)


def check_lognormal(process: Process) -> None:
    """Ln S has the covariance sigma_i sigma_j rho_ij times the clock at the earlier date, exactly."""
    if not process.facts.lognormal:
        return
    assert process.facts.law == "multiplicative", "lognormal, but law = 'additive'"
    assert is_affine(process, slice(0, sum(blocks(process, len(SPREAD)))), SPREAD), "lognormal, but ln S is no Gaussian"
    at = own(process)
    A = loadings(process, at, SPREAD).flatten(end_dim=1)
    ticks = clock(process, at, until(SPREAD))[0, 0]
    sigma = at["volatility"][0, 0]
    matrix = sigma[:, None] * sigma * correlation(process, at)[0]
    expected = torch.einsum("kl,ij->kilj", torch.minimum(ticks[:, None], ticks), matrix).reshape(A.shape[0], -1)
    assert close(A @ A.T, expected), "lognormal, but the covariance of ln S is another one"


def check_bridge(process: Process) -> None:
    """Between two dates the coordinate is a Brownian bridge, towards a straight barrier where it is exact."""
    facts = process.facts
    assert facts.bridge != "own steps" or facts.grid is not None, "bridge = 'own steps', but there is no grid"
    if facts.bridge not in ("exact", "straight"):
        return
    at, dimension = own(process), sum(blocks(process, len(SHORT)))
    assert is_affine(process, slice(0, dimension), SHORT), f"bridge = {facts.bridge!r}, but steps are not Gaussian"
    A = loadings(process, at, SHORT)
    both, first = A[0] @ A[1].T, A[0] @ A[0].T
    assert close(both, first), f"bridge = {facts.bridge!r}, but increments are not independent"
    if facts.bridge == "exact":
        edges, variances = barrier_edges(process, at), A.square().sum(dim=-1)
        bend = edges[1] - edges[0] - (edges[2] - edges[0]) * variances[0] / variances[1]
        assert close(bend, torch.zeros_like(bend)), "bridge = 'exact', but a straight barrier is not straight to it"


def barrier_edges(process: Process, at: Scenario) -> Tensor:
    """A constant level in the coordinate of the noise, today and at both dates. Shape: -> 3 asset."""
    dimension = sum(blocks(process, len(SHORT)))
    still = torch.zeros(1, 1, dimension, dtype=torch.float64)
    paths, today = walk(process, at, still, SHORT), at["spot"][0, 0]
    if process.facts.law == "multiplicative":
        return -torch.log(torch.cat([today[None], levels(paths)[0, 0]]))
    grown = torch.exp(growth(process, at, until((0.0, *SHORT))))[0, 0]
    middle = torch.cat([today[None], levels(paths)[0, 0]])
    return (1.2 * LEVEL - middle) / grown


def check_grid(process: Process) -> None:
    """Without a grid one step has the law of four; with one its number of steps is a field."""
    facts = process.facts
    given = getattr(process, "steps", None)
    assert given in (facts.grid, UNSET), f"grid is the field `steps` where that is given, got {facts.grid}"
    assert given is not UNSET or facts.grid is not None, "grid = None, but the process has a field `steps`"
    if facts.grid is not None:
        return
    one, four = (moments(process, dates) for dates in ((1.0,), (0.25, 0.5, 0.75, 1.0)))
    error = torch.hypot(one[1], four[1])
    assert bool(((one[0] - four[0]).abs() <= ERRORS * error + 1e-6 * one[0].abs()).all()), (
        f"grid = None, but one step has moments {one[0].tolist()} and four {four[0].tolist()}"
    )


def moments(process: Process, dates: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Second and third moments of the levels at maturity about the spots, with errors. Shape: -> moment, twice."""
    sets = [normals(process, dates, paths=PATHS, seed=seed) for seed in range(SETS)]
    returns = [levels(walk(process, own(process), z, dates))[0, :, -1] / LEVEL - 1.0 for z in sets]
    rows = torch.stack([torch.cat([(x.T @ x / len(x)).flatten(), x.pow(3).mean(dim=0)]) for x in returns])
    return rows.mean(dim=0), rows.std(dim=0) / SETS**0.5


def check_randomness(process: Process) -> None:
    """Nothing is random where all that ``randomness`` names is 0, and something is at the process's own values."""
    z = normals(process, DATES, paths=64)
    zeros = {name: (0.0,) * len(process.parameters[name]) for name in process.facts.randomness}
    still, random = (levels(walk(process, own(process, **values), z)) for values in (zeros, {}))
    assert float(still.std(dim=1).max()) <= ROUNDING * LEVEL, f"paths are random although {[*zeros]} are 0"
    assert float(random.std(dim=1).min()) > 0.0, "paths are not random"
    for name in zeros:
        alone = zeros | {name: (0.5,) * len(zeros[name])}
        moved = levels(walk(process, own(process, **alone), z))
        assert float(moved.std(dim=1).max()) > ROUNDING * LEVEL, f"{name} in randomness makes nothing random by itself"


def check_convexity(process: Process) -> None:
    """Values of calls are convex in the spots, along a line."""
    if not process.facts.convex:
        return
    z = normals(process, (1.0,), paths=PATHS)
    along = torch.linspace(0.5, 1.0, process.assets, dtype=torch.float64)
    spots = LEVEL + torch.linspace(-40.0, 40.0, 17, dtype=torch.float64)[:, None] * along
    ends = [levels(walk(process, own(process, spot=spot.tolist()), z, (1.0,)))[0, :, -1] for spot in spots]
    values = torch.stack([torch.relu(level.mean(dim=1) - LEVEL).mean() for level in ends])
    bends = values.diff().diff()
    assert bool((bends >= -1e-3 * bends.max()).all()), f"convex, but a call bends by {bends.min().item():.3g}"


def check_noise(process: Process) -> None:
    """A parameter whose noise is "none" leaves the noise of the paths alone, any other one moves it.

    Carry scales the noise of levels that add, and of cash dividends no noise is kept apart.
    """
    asked = problem(process, basket(process))
    x = place(asked)
    for feature in asked.features:
        role = PARAMETERS[feature.name]
        carried = process.facts.law == "additive" and role.scaling == "carry"
        if carried or feature.name in process.facts.by_law or process.facts.pays_cash or feature.name == "spot":
            continue
        rows = torch.cat([x, x])
        rows[1, asked.box.columns(feature.name)] += 0.001
        at = scenario(asked, rows)
        z = normals(process, (1.0,), paths=16)
        noise = simulate(process, at, z, times(asked, at)).noise
        still = len(noise) == 1 or close(noise[0], noise[1])
        assert still == (role.noise == "none"), f"noise = {role.noise!r} of {feature.name}, but paths say otherwise"


CHECKS = (
    check_statement,
    check_parameters,
    check_law,
    check_forward,
    check_pieces,
    check_affinity,
    check_opening,
    check_slopes,
    check_units,
    check_level_noise,
    check_increments,
    check_lognormal,
    check_bridge,
    check_grid,
    check_randomness,
    check_martingale,
    check_jumps_in_parameters,
    check_derivatives_by_law,
    check_convexity,
    check_density,
    check_noise,
)
