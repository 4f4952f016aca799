from __future__ import annotations

import pytest
import torch

from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.functions.surrogate import Surrogate, value, value_gradient_hessian
from surrogate.learning.polynomial import fit_polynomial
from surrogate.spec import PolynomialSpec


@pytest.mark.parametrize("kind", ["network", "polynomial"])
def test_each_kind_answers_for_itself(kind: str, network: Network, dataset: Dataset) -> None:
    surrogate: Surrogate = network
    if kind == "polynomial":
        surrogate = fit_polynomial(dataset, PolynomialSpec(degree=3, inputs="features")).surrogate
    found = value_gradient_hessian(surrogate, dataset.x)
    assert [part.shape for part in found] == [(128,), (128, 3), (128, 3, 3)]
    x = dataset.x.clone().requires_grad_()
    y = value(surrogate, x)
    torch.testing.assert_close(y, found[0])
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], found[1])
