"""The geometric basket as a control variate: what a path says of it, less what is known of it.

G = B exp(X - s^2 / 2),   X = sum of the items' random logarithms, each times its share of the forward basket B

over the assets, and the dates of an average; s^2 is the variance of X, so that G is lognormal with mean B and the
expectation of its payoff is Black's formula. The shares are held constant; everything else is differentiated, so that
delta labels profit too.

References: Kemna & Vorst (1990); Glasserman (2003), 4.1.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import root
from pricing.estimators import exponentials
from pricing.estimators.exponentials import Exponentials
from pricing.simulation.fixings import strike_left, summands
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, correlation, times
from pricing.specs.european import Call, Put
from pricing.specs.payoff import Asian
from pricing.specs.problem import PricingProblem


def excess(problem: PricingProblem, at: Scenario, paths: Paths) -> Tensor:
    """Cash of the geometric basket less its expectation, of mean 0. Shape: -> batch path."""
    payoff = problem.payoff
    assert isinstance(payoff, Call | Put | Asian)  # `pricing.specs.choice.not_dated`
    dates = payoff.facts.summed
    count = paths.forward[:, :, dates].shape[2]
    covariance = logarithms(problem, at)[:, dates, :, dates].flatten(3).flatten(1, 2)
    forward = paths.forward[:, :, dates].flatten(2)[:, 0] * torch.exp(0.5 * covariance.diagonal(dim1=1, dim2=2))
    w = forward.new_tensor(payoff.weights).repeat(count) / summands(payoff)
    basket = forward @ w
    shares = torch.where(basket[:, None] > 0.0, w * forward / basket.clamp(min=exponentials.TINY)[:, None], w).detach()
    deviation = root(torch.einsum("bi,bij,bj->b", shares, covariance, shares))
    level, strike = basket * torch.exp(-0.5 * deviation.square()), strike_left(payoff, at)
    random = torch.log(paths.noise[:, :, dates]).flatten(2)
    moneyness = level[:, None] * torch.exp((random * shares[:, None]).sum(dim=-1)) - strike
    law = Exponentials(amounts=level[:, None, None], slopes=deviation[:, None, None], strike=strike)
    return torch.relu(moneyness if payoff.side == "call" else -moneyness) - exponentials.ramp(law, payoff.side)


def logarithms(problem: PricingProblem, at: Scenario) -> Tensor:
    """Covariance of ln S between dates and assets, sigma_i sigma_j rho_ij min(c_k, c_l), c the clock.

    Shape: -> batch-or-1 date asset date asset.
    """
    ticks = clock(problem.process, at, times(problem, at))[:, 0]
    shared = torch.minimum(ticks[:, :, None], ticks[:, None, :])
    volatility = at["volatility"][:, 0]
    assets = volatility[:, :, None] * volatility[:, None, :] * correlation(problem.process, at)
    return shared[:, :, None, :, None] * assets[:, None, :, None, :]
