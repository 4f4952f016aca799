from __future__ import annotations

import pytest
import torch

from pricing.payoffs import cash, moneyness
from pricing.spec import Call, Put
from pricing.terminal import Terminal


@pytest.fixture
def terminal() -> Terminal:
    """Two samples, 64 shared paths, two assets."""
    generator = torch.Generator().manual_seed(1)
    return Terminal(
        forward=torch.tensor([[[1.0, 2.0]], [[1.5, 0.5]]], dtype=torch.float64),
        increments=torch.randn((1, 64, 2), dtype=torch.float64, generator=generator),
        discount=0.9,
    )


def test_basket_is_the_weighted_sum_of_the_assets(terminal: Terminal) -> None:
    assets = terminal.forward + terminal.increments
    expected = 2.0 * assets[..., 0] - 3.0 * assets[..., 1]
    torch.testing.assert_close(terminal.basket((2.0, -3.0)), expected, rtol=0, atol=1e-14)


def test_call_minus_put_is_the_forward_on_every_path(terminal: Terminal) -> None:
    call, put = Call(weights=(1.0, -0.5), strike=0.3), Put(weights=(1.0, -0.5), strike=0.3)
    difference = cash(call, terminal) - cash(put, terminal)
    torch.testing.assert_close(difference, terminal.basket((1.0, -0.5)) - 0.3, rtol=0, atol=1e-14)
    assert torch.equal(moneyness(call, terminal), -moneyness(put, terminal))


@pytest.mark.parametrize("kind", [Call, Put])
def test_cash_is_the_positive_part(kind: type[Call | Put], terminal: Terminal) -> None:
    payoff = kind(weights=(1.0, 1.0), strike=2.5)
    m = moneyness(payoff, terminal)
    assert (m > 0.0).any()
    assert (m < 0.0).any()
    assert torch.equal(cash(payoff, terminal), m.where(m > 0.0, torch.zeros_like(m)))
