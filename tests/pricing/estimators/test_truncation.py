"""Normals below an end: the law, the tails and the derivatives."""

import math

import pytest
import torch
from scipy.special import log_ndtr
from scipy.stats import kstest, truncnorm

from pricing.estimators.truncation import END, below


@pytest.mark.parametrize("end", [-5.0, -1.0, 0.5, END])
def test_draws_have_the_law_of_a_normal_below_the_end(end: float) -> None:
    uniform = (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096
    z, mass = below(uniform, torch.tensor(end, dtype=torch.float64))
    assert z.max() < end
    assert mass.item() == pytest.approx(math.exp(log_ndtr(end)), rel=1e-12)
    assert kstest(z.numpy(), truncnorm(-math.inf, end).cdf).statistic < 1e-3


def test_draws_are_twice_differentiable_in_the_end() -> None:
    uniform = torch.tensor([0.01, 0.4, 0.99], dtype=torch.float64)
    end = torch.tensor([-3.0, 0.2, 2.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: below(uniform, e), end)
    assert torch.autograd.gradgradcheck(lambda e: below(uniform, e), end)


@pytest.mark.parametrize("end", [-1e3, -9.0, 9.0, 1e3])
def test_ends_out_of_reach_keep_everything_or_nothing(end: float) -> None:
    at = torch.tensor([end], dtype=torch.float64, requires_grad=True)
    z, mass = below(torch.tensor([1e-16], dtype=torch.float64), at)
    (gradient,) = torch.autograd.grad((z * mass).sum(), at)
    assert mass.item() == pytest.approx(float(end > 0.0), abs=1e-14)
    assert torch.isfinite(z).all()
    assert gradient.item() == 0.0
