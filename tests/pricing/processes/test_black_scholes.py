"""Black-Scholes: term structures against exact averages, discrete dividends against QuantLib and exact forwards."""

from __future__ import annotations

import math
from typing import Any

import pytest
import QuantLib
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.problem import PricingProblem
from pricing.specs.schedule import Dividend, Piece
from tests.pricing import oracle
from tests.pricing.cases import PLAIN, conditional_call, normals, unit_call

CASH = (Dividend(time=0.3, amount=0.04), Dividend(time=0.7, amount=0.03, proportion=0.02))


def make(*names: str, **others: Any) -> PricingProblem:
    """A volatility of a quarter."""
    return unit_call(replace(PLAIN, volatilities=(0.25,), **others), *names)


def levels(problem: PricingProblem, x: Tensor, z: Tensor) -> Tensor:
    at = scenario(problem, x)
    return simulate(problem.process, at, z, times(problem, at)).levels()[..., 0]


def test_pieces_act_through_their_exact_averages() -> None:
    problem = make(
        "maturity",
        rate=0.01,
        dividend_yields=(0.02,),
        rate_pieces=(Piece(start=0.5, value=0.05),),
        volatility_pieces=(Piece(start=0.25, value=2.0), Piece(start=0.75, value=0.5)),
    )
    x = torch.tensor([[1.2, 1.0], [1.2, 0.6]], dtype=torch.float64)
    at = scenario(problem, x)
    paths = simulate(problem.process, at, normals(1, paths=1 << 14), times(problem, at))
    for row, (rate, clock, maturity) in enumerate(((0.03, 0.25 + 0.5 * 4.0 + 0.25 * 0.25, 1.0), (0.01, 1.65, 0.6))):
        rate = rate if row == 0 else (0.5 * 0.01 + 0.1 * 0.05) / 0.6
        log = torch.log(paths.levels()[row, :, 0] / (1.2 * math.exp((rate - 0.02) * maturity)))
        assert paths.discount[row, 0, 0].item() == pytest.approx(math.exp(-rate * maturity), rel=1e-12)
        assert log.var().item() == pytest.approx(0.25**2 * clock, rel=2e-3)
        assert log.mean().item() == pytest.approx(-0.5 * 0.25**2 * clock, abs=1e-4)


def test_proportional_dividends_scale_the_forward() -> None:
    dividends = (
        Dividend(time=0.5, proportion=0.1),
        Dividend(time=1.0, proportion=0.2),
        Dividend(time=1.5, proportion=1),
    )
    x, z = torch.tensor([[1.0]], dtype=torch.float64), normals(1, paths=64)
    with_them, without = (levels(make(dividends=some), x, z) for some in (dividends, ()))
    torch.testing.assert_close(with_them, 0.9 * 0.8 * without, rtol=1e-12, atol=0.0)


def test_call_with_amounts_agrees_with_quantlib() -> None:
    problem = make(dividends=CASH[:1], rate=0.03)
    x, runs = torch.ones(1, 1, dtype=torch.float64), []
    for seed in range(8):
        z = normals(sum(blocks(problem.process, 1)), paths=1 << 10, seed=seed)
        runs.append(conditional_call(problem, x, z).mean())
    process = oracle.black_scholes(1.0, rate=0.03, dividend=0.0, volatility=0.25)
    paid = [QuantLib.FixedDividend(0.04, oracle.TODAY + 110)]
    option = QuantLib.VanillaOption(oracle.payoff("call", 1.0), oracle.exercise())
    option.setPricingEngine(QuantLib.FdBlackScholesVanillaEngine(process, paid, 400, 800))
    estimates = torch.stack(runs)
    # 110 / 365 is 0.0014 years after 0.3: 1e-6 of value, as is the grid's error.
    assert abs(estimates.mean().item() - option.NPV()) < 4.0 * estimates.std().item() / math.sqrt(8) + 5e-6


def test_mean_with_amounts_is_the_exact_forward_at_every_maturity() -> None:
    problem = make("maturity", dividends=CASH, rate=0.05)
    x = torch.tensor([[1.0, 0.2], [1.0, 0.3], [1.0, 0.5], [1.0, 1.0]], dtype=torch.float64)
    expected = []
    for maturity in x[:, 1].tolist():
        forward, before = 1.0, 0.0
        for dividend in CASH:
            if dividend.time <= maturity:
                forward *= math.exp(0.05 * (dividend.time - before)) * (1.0 - dividend.proportion)
                forward, before = forward - dividend.amount, dividend.time
        expected.append(forward * math.exp(0.05 * (maturity - before)))
    runs = [levels(problem, x, normals(3, paths=1 << 12, seed=seed)).mean(dim=1) for seed in range(8)]
    means = torch.stack(runs)
    allowed = 4.0 * means.std(dim=0) / math.sqrt(8) + 1e-12
    assert bool(((means.mean(dim=0) - torch.tensor(expected, dtype=torch.float64)).abs() < allowed).all())


def test_a_batch_of_maturities_is_its_rows_one_by_one() -> None:
    problem, z = make("maturity", dividends=CASH), normals(3, paths=16)
    x = torch.tensor([[1.0, 0.2], [1.1, 0.5], [0.9, 1.0]], dtype=torch.float64)
    rows = torch.cat([levels(problem, row[None], z) for row in x])
    torch.testing.assert_close(levels(problem, x, z), rows, rtol=1e-14, atol=0.0)


def test_derivatives_agree_with_differences_on_the_same_normals() -> None:
    names = ("maturity", "volatility", "rate", "dividend_yield")
    problem, z = make(*names, dividends=CASH), normals(3, paths=16)
    x = torch.tensor([[1.0, 0.9, 0.25, 0.03, 0.01]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: levels(problem, x, z).mean(dim=1), (x,))
    assert torch.autograd.gradgradcheck(lambda x: levels(problem, x, z).square().mean(dim=1), (x,))


def test_a_spot_that_dividends_exhaust_stays_at_zero() -> None:
    problem = make("volatility", dividends=(Dividend(time=0.5, amount=0.5),))
    x = torch.tensor([[0.05, 0.2], [0.0, 0.2], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    ends = levels(problem, x, normals(2, paths=64))
    (gradient,) = torch.autograd.grad(ends.sum(), x)
    assert bool((ends[:2] == 0.0).all())
    torch.testing.assert_close(ends[2], torch.full_like(ends[2], 0.5))
    assert bool(torch.isfinite(gradient).all())
