"""Values and derivatives of expressions, against torch's autograd and central differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pricing.specs.evaluation import evaluate
from pricing.specs.expression import parse

STEP = 1e-6
EXPRESSIONS = [
    "3",
    "S",
    "-S^3 + 2*S^2 - k*S + 1",
    "(S - 1) / (S + 2)",
    "k / S",
    "exp(-k * S) * t",
    "log(S + 1) * sqrt(S)",
    "S^k",
    "k^S",
    "S^S",
    "S^0.7",
    "S^-1.5",
    "S^-2",
    "S^(-2)",
    "tanh(k * (S - 1))",
    "abs(S - 1.25) * S",
    "max(S, 1.2, 0.9 * S + 0.3) - min(S^2, 2)",
    "max(0.3 * S, 0.9 * (S - 0.5)) * exp(-t)",
    "sqrt(max(S - 1, 0))",
    "r * S - q * S",
]


def at(S: torch.Tensor) -> dict[str, torch.Tensor]:
    others = {"t": 0.3, "r": 0.05, "k": 0.7, "q": 0.01}
    return {"S": S, **{name: torch.tensor(value, dtype=torch.float64) for name, value in others.items()}}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_derivatives_are_those_of_autograd_and_of_differences(text: str) -> None:
    written = parse(text, name="drifts[0]")
    S = torch.linspace(0.53, 2.11, 9, dtype=torch.float64).requires_grad_()
    value, slope = evaluate(written, at(S), S.new_tensor, library=torch)
    if slope is None:
        assert not value.requires_grad
        return
    (gradient,) = torch.autograd.grad(value.sum(), S, create_graph=True)
    torch.testing.assert_close(slope.expand_as(S), gradient, rtol=1e-12, atol=1e-12)
    up, down = (evaluate(written, at(S.detach() + move), S.new_tensor, library=torch).value for move in (STEP, -STEP))
    torch.testing.assert_close(slope.detach().expand_as(S), (up - down) / (2.0 * STEP), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_numpy_and_torch_agree(text: str) -> None:
    written = parse(text, name="drifts[0]")
    S = torch.linspace(0.53, 2.11, 9, dtype=torch.float64)
    there = at(S)
    ours = evaluate(written, there, S.new_tensor, library=torch)
    theirs = evaluate(written, {name: x.numpy() for name, x in there.items()}, np.float64, library=np)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(mine.numpy(), other, rtol=1e-14)


@pytest.mark.parametrize("text", ["sqrt(max(S, 0))", "max(S, 0)^k", "max(S, 0)^1.5"])
def test_a_root_rests_at_its_floor(text: str) -> None:
    """Derivatives to second order are 0 below the floor, where 0 times infinity would be NaN."""
    S = torch.tensor([-1.0, 0.0, -3.0], dtype=torch.float64).requires_grad_()
    value, slope = evaluate(parse(text, name="diffusions[0]"), at(S), S.new_tensor, library=torch)
    (gradient,) = torch.autograd.grad(value.sum(), S, create_graph=True)
    (second,) = torch.autograd.grad((gradient * slope).sum() + gradient.sum(), S)
    for numbers in (value, slope, gradient, second):
        assert numbers.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        ("S^-0.5", 0.0, math.inf),
        ("1 / S", 0.0, math.inf),
        ("log(S)", 0.0, -math.inf),
        ("log(S)", -1.0, math.nan),
        ("sqrt(S)", -1.0, math.nan),
        ("exp(S)", 1000.0, math.inf),
        ("S^k", -1.0, math.nan),
        ("S^3", -2.0, -8.0),
        ("max(sqrt(S), 1)", -1.0, math.nan),
    ],
)
def test_what_is_not_finite_stays_so(text: str, level: float, expected: float) -> None:
    S = torch.tensor([level], dtype=torch.float64)
    found = evaluate(parse(text, name="drifts[0]"), at(S), S.new_tensor, library=torch).value
    assert found.item() == pytest.approx(expected, nan_ok=True)
