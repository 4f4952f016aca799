from __future__ import annotations

import pytest
import torch

from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import Sharp, Smooth, average, cash, moneyness
from pricing.simulation.scenario import Scenario
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Autocall, Barrier
from pricing.specs.pieces import Pieces

TINY_WIDTH = torch.tensor([[1e-9]], dtype=torch.float64)


@pytest.fixture
def paths() -> Paths:
    """Two samples, 64 shared paths, three dates, two assets."""
    generator = torch.Generator().manual_seed(1)
    return Paths(
        forward=torch.tensor([[[1.0, 2.0]], [[1.5, 0.5]]], dtype=torch.float64)[:, None].expand(-1, -1, 3, -1),
        noise=torch.exp(0.3 * torch.randn((1, 64, 3, 2), dtype=torch.float64, generator=generator)),
        law="multiplicative",
        discount=torch.tensor([[[0.98, 0.95, 0.9]]], dtype=torch.float64),
    )


def at(**parameters: float) -> Scenario:
    values = {name: torch.tensor([[[value]]], dtype=torch.float64) for name, value in parameters.items()}
    return Scenario(parameters=values)


def test_call_minus_put_is_the_forward_on_every_path(paths: Paths) -> None:
    call, put, here = Call(weights=(1.0, -0.5), strike=0.3), Put(weights=(1.0, -0.5), strike=0.3), at(strike=0.3)
    difference = cash(call, paths, here) - cash(put, paths, here)
    torch.testing.assert_close(difference, paths.basket((1.0, -0.5)) - 0.3, rtol=0, atol=1e-14)
    assert torch.equal(moneyness(call, paths, here), -moneyness(put, paths, here))


@pytest.mark.parametrize("kind", [Call, Put])
def test_cash_is_the_positive_part(kind: type[Call | Put], paths: Paths) -> None:
    payoff, here = kind(weights=(1.0, 1.0), strike=2.5), at(strike=2.5)
    m = moneyness(payoff, paths, here)
    assert (m > 0.0).any()
    assert (m < 0.0).any()
    assert torch.equal(cash(payoff, paths, here), m.where(m > 0.0, torch.zeros_like(m)))


def test_ranked_assets_and_averages(paths: Paths) -> None:
    initial = (1.0, 2.0)
    ratios = paths.levels() / torch.tensor(initial, dtype=torch.float64)
    here = at(strike=0.8)
    worst = cash(WorstOf(initial=initial, strike=0.8), paths, here)
    best = cash(BestOf(initial=initial, strike=0.8, side="put"), paths, here)
    torch.testing.assert_close(worst, torch.relu(ratios.amin(-1) - 0.8))
    torch.testing.assert_close(best, torch.relu(0.8 - ratios.amax(-1)))
    baskets = torch.stack([paths.basket((0.5, 0.5), date) for date in range(2)], dim=-1)
    asian = Asian(weights=(0.5, 0.5), strike=1.0, dates=(0.25, 0.5))
    torch.testing.assert_close(average(asian, paths, here), baskets.mean(-1))
    geometric = Asian(weights=(0.5, 0.5), strike=1.0, dates=(0.25, 0.5), average="geometric")
    torch.testing.assert_close(average(geometric, paths, here), baskets.prod(-1).sqrt())


def test_digital_call_and_put_share_the_cash(paths: Paths) -> None:
    call, put = (Digital(weights=(1.0, 1.0), strike=2.5, side=side, cash=3.0) for side in ("call", "put"))
    total = cash(call, paths, at(strike=2.5)) + cash(put, paths, at(strike=2.5))
    assert torch.equal(total, torch.full_like(total, 3.0))


def test_pieces_are_the_lines_through_their_corners(paths: Paths) -> None:
    """At a knot itself the piece below it is paid; the event is the first of them."""
    knots = (1.5, 2.0, 3.0)
    payoff = Pieces(weights=(1.0, 0.5), knots=knots, slopes=(-1.0, 2.0, 0.0, 0.5), jumps=(0.0, 3.0, -1.0), cash=0.5)
    here = Scenario(parameters={"knot": torch.tensor(knots, dtype=torch.float64)[None, None]})
    x = paths.basket((1.0, 0.5))
    lines = (0.5 - (x - 1.5), 0.5 + 2.0 * (x - 1.5), torch.full_like(x, 4.5), 3.5 + 0.5 * (x - 3.0))
    piece = torch.bucketize(x, torch.tensor(knots, dtype=torch.float64))
    assert set(piece.flatten().tolist()) == {0, 1, 2, 3}
    expected = torch.stack(lines).gather(0, piece[None])[0]
    torch.testing.assert_close(cash(payoff, paths, here), expected, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(moneyness(payoff, paths, here), x - 1.5)


def test_a_knot_itself_belongs_to_the_piece_below() -> None:
    levels = torch.tensor([99.0, 100.0, 101.0], dtype=torch.float64)[None, :, None, None]
    on = Paths(forward=torch.zeros(1, 1, 1, 1, dtype=torch.float64), noise=levels, law="additive", discount=levels)
    payoff = Pieces(weights=(1.0,), knots=(100.0,), slopes=(0.0, 0.0), jumps=(5.0,), cash=2.0)
    assert cash(payoff, on, at(knot=100.0)).tolist() == [[2.0, 2.0, 7.0]]


def test_barrier_in_and_out_make_the_vanilla(paths: Paths) -> None:
    one = Paths(forward=paths.forward[..., :1], noise=paths.noise[..., :1], law=paths.law, discount=paths.discount)
    here = at(strike=1.0, barrier=0.8)
    out, into = (
        cash(Barrier(strike=1.0, barrier=0.8, direction="down", knock=k, dates=(0.5, 0.75, 1.0)), one, here)
        for k in ("out", "in")
    )
    torch.testing.assert_close(out + into, cash(Call(weights=(1.0,), strike=1.0), one, here), rtol=0, atol=1e-15)
    alive = (torch.stack([one.basket((1.0,), k) for k in range(3)]) > 0.8).all(dim=0)
    torch.testing.assert_close(out, torch.relu(one.basket((1.0,)) - 1.0) * alive)


def test_autocall_on_chosen_paths() -> None:
    """Called at once; coupons missed and caught up on, then called; never called and knocked in."""
    levels = [[1.1, 1.0, 1.0], [0.7, 0.9, 1.05], [0.7, 0.7, 0.5]]
    noise = torch.tensor(levels, dtype=torch.float64)[None, :, :, None]
    discount = torch.tensor([[[0.96, 0.92, 0.88]]], dtype=torch.float64)
    chosen = Paths(
        forward=torch.ones(1, 1, 3, 1, dtype=torch.float64), noise=noise, law="multiplicative", discount=discount
    )
    payoff = Autocall(
        initial=(1.0,),
        dates=(1 / 3, 2 / 3, 1.0),
        triggers=(1.0, 1.0, 1.0),
        coupon=0.05,
        coupon_barrier=0.8,
        knock_in=0.6,
        notional=100.0,
    )
    paid = cash(payoff, chosen, at(coupon_barrier=0.8, knock_in=0.6))[0] * 0.88
    expected = [105.0 * 0.96, 10.0 * 0.92 + 105.0 * 0.88, 50.0 * 0.88]
    assert paid.tolist() == pytest.approx(expected, rel=1e-14)


def test_smooth_edges_approach_sharp_ones(paths: Paths) -> None:
    here = at(strike=0.8)
    for payoff in (WorstOf(initial=(1.0, 2.0), strike=0.8), BestOf(initial=(1.0, 2.0), strike=0.8, side="put")):
        smooth = Smooth(kernel="average", widths=iter([TINY_WIDTH] * 8))
        torch.testing.assert_close(
            cash(payoff, paths, here, smooth), cash(payoff, paths, here, Sharp()), rtol=0, atol=1e-8
        )
