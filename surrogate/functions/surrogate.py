"""What is learnt from labels, of either kind: a network, or a polynomial."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from surrogate.functions import network, polynomial
from surrogate.functions.network import Network
from surrogate.functions.polynomial import PolynomialSurrogate

Surrogate = Network | PolynomialSurrogate


def value(surrogate: Surrogate, x: Tensor) -> Tensor:
    """The single output, twice differentiable in x. Shape: batch input -> batch."""
    match surrogate:
        case Network():
            return network.value(surrogate, x)
        case PolynomialSurrogate():
            return polynomial.value(surrogate, x)
        case _:
            assert_never(surrogate)


def value_gradient_hessian(surrogate: Surrogate, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, dy/dx and d2y/dx2. Shape: batch input -> batch; batch input; batch input input."""
    match surrogate:
        case Network():
            return network.value_gradient_hessian(surrogate, x)
        case PolynomialSurrogate():
            return polynomial.value_gradient_hessian(surrogate, x)
        case _:
            assert_never(surrogate)
