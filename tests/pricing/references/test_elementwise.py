from __future__ import annotations

import torch

from pricing.references.elementwise import known


def test_value_slope_and_bend_are_those_given() -> None:
    """sin by sin, cos and -sin, through a function of it."""
    x = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64, requires_grad=True)
    y = known(x, x.detach().sin(), x.detach().cos(), -x.detach().sin()).exp()
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    s, c = x.detach().sin(), x.detach().cos()
    torch.testing.assert_close(y.detach(), s.exp())
    torch.testing.assert_close(slope.detach(), c * s.exp())
    torch.testing.assert_close(bend, (c.square() - s) * s.exp())
