"""Formulas as values: written once, evaluated by torch, bounded by intervals, differentiated for the graph.

An expression is a batch of matrices, n x rows x width: one row for a quantity, d rows for its tangents along all d
features; constants are one matrix for the whole batch. Rows and widths of 1 broadcast. The surrogate's network is one
of the operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

Operator = Literal[
    "constant",
    "feature",
    "add",
    "multiply",
    "exp",
    "log",
    "square_root",
    "reciprocal",
    "normal",
    "total",
    "product",
    "clamp",
    "inside",
    "network",
    "network_gradient",
    "network_curvature",
]


@dataclass(frozen=True, eq=False)
class Expression:
    """One operator on other expressions.

    Args:
        array: of a constant its numbers, of a product the constant matrix, of clamp and inside the two bounds, of a
            feature its first and last column.
        rows, width: of the matrix that every sample has.

    Shape: array of a constant rows width, of a product width width', of the others (2,).
    """

    operator: Operator
    inputs: tuple[Expression, ...] = ()
    array: Tensor | None = None
    rows: int = 1
    width: int = 1

    @property
    def numbers(self) -> Tensor:
        """What comes with the operator. Shape: as ``array``."""
        assert self.array is not None
        return self.array

    @property
    def is_constant(self) -> bool:
        """Whether no feature moves it."""
        return self.operator == "constant"

    def __add__(self, other: Expression | float) -> Expression:
        return add(self, other if isinstance(other, Expression) else constant(other))

    def __sub__(self, other: Expression | float) -> Expression:
        return self + (-other)

    def __neg__(self) -> Expression:
        return self * -1.0

    def __mul__(self, other: Expression | float) -> Expression:
        return multiply(self, other if isinstance(other, Expression) else constant(other))

    def __truediv__(self, other: Expression) -> Expression:
        return self * reciprocal(other)


# What every operator does to tensors, ``batch rows width``; the network's are in `evaluate`.
OPERATIONS: Mapping[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "multiply": torch.mul,
    "exp": torch.exp,
    "log": torch.log,
    "square_root": torch.sqrt,
    "reciprocal": torch.reciprocal,
    "normal": torch.special.ndtr,
    "total": lambda x: x.sum(dim=-1, keepdim=True),
}


def constant(values: object) -> Expression:
    """A number, a row, or a matrix."""
    array = torch.as_tensor(values, dtype=torch.float64)
    array = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    return Expression("constant", (), array, *array.shape)


@cache
def feature(start: int, stop: int) -> Expression:
    """Some columns of the features: one expression for all who name them, so that derivatives by it miss nobody."""
    return Expression("feature", (), torch.tensor([start, stop]), 1, stop - start)


def _make(operator: Operator, *inputs: Expression, array: Tensor | None = None, width: int | None = None) -> Expression:
    """The operator, or the constant that it makes of constants."""
    rows = max(operand.rows for operand in inputs)
    made = Expression(operator, inputs, array, rows, width or max(operand.width for operand in inputs))
    return (
        constant(_apply(made, [operand.numbers for operand in inputs])) if all(p.is_constant for p in inputs) else made
    )


def _is(operand: Expression, number: float) -> bool:
    return operand.is_constant and bool((operand.numbers == number).all())


def _covers(operand: Expression, other: Expression) -> bool:
    return operand.width >= other.width and operand.rows >= other.rows


def add(a: Expression, b: Expression) -> Expression:
    """The sum a + b; what adds nothing is left out."""
    for operand, other in ((a, b), (b, a)):
        if _is(operand, 0.0) and _covers(other, operand):
            return other
    return _make("add", a, b)


def multiply(a: Expression, b: Expression) -> Expression:
    """The product a b, entry by entry; what changes nothing is left out, constants meet before they meet the rest.

    What is multiplied by 0 is 0, whatever it is.
    """
    for operand, other in ((a, b), (b, a)):
        if _is(operand, 1.0) and _covers(other, operand):
            return other
        if _is(operand, 0.0):
            return constant(torch.zeros(max(a.rows, b.rows), max(a.width, b.width)))
        if operand.is_constant and other.operator == "multiply" and other.inputs[1].is_constant:
            return multiply(other.inputs[0], multiply(other.inputs[1], operand))
    return _make("multiply", b, a) if a.is_constant else _make("multiply", a, b)


def exp(x: Expression) -> Expression:
    """e^x."""
    return _make("exp", x)


def log(x: Expression) -> Expression:
    """The natural logarithm."""
    return _make("log", x)


def square_root(x: Expression) -> Expression:
    """The square root."""
    return _make("square_root", x)


def reciprocal(x: Expression) -> Expression:
    """1 / x."""
    return _make("reciprocal", x)


def normal(x: Expression) -> Expression:
    """N(x), the standard normal distribution function."""
    return _make("normal", x)


def total(x: Expression) -> Expression:
    """The sum over the width."""
    return _make("total", x, width=1) if x.width > 1 else x


def product(x: Expression, matrix: Tensor) -> Expression:
    """The product x @ matrix. Shape: matrix width width'."""
    if x.width == 1:
        return multiply(x, constant(matrix))
    return total(multiply(x, constant(matrix.T))) if matrix.shape[1] == 1 else _product(x, matrix)


def _product(x: Expression, matrix: Tensor) -> Expression:
    return _make("product", x, array=matrix, width=matrix.shape[1])


def clamp(x: Expression, low: float, high: float = math.inf) -> Expression:
    """The nearest number in [low, high]."""
    return _make("clamp", x, array=torch.tensor([low, high], dtype=torch.float64))


def magnitude(x: Expression) -> Expression:
    """|x|."""
    return clamp(x, 0.0) + clamp(-x, 0.0)


def indicator(x: Expression) -> Expression:
    """1 where x > 0, else 0; its derivative is taken as 0."""
    return _make("inside", x, array=torch.tensor([0.0, math.inf], dtype=torch.float64))


def network(x: Expression) -> Expression:
    """The network's output at x."""
    return _make("network", x, width=1)


def _apply(expression: Expression, inputs: Sequence[Tensor]) -> Tensor:
    """One operator on tensors."""
    x, numbers = inputs[0], expression.array
    if numbers is None:
        return OPERATIONS[expression.operator](*inputs)
    if expression.operator == "product":
        return torch.matmul(x, numbers)
    low, high = numbers[0].item(), numbers[1].item()
    return x.clamp(low, high) if expression.operator == "clamp" else ((x > low) & (x < high)).to(x.dtype)


def order(*ends: Expression) -> list[Expression]:
    """Every expression that the ends are made of, inputs first."""
    ordered: dict[Expression, None] = {}
    stack = [(end, False) for end in reversed(ends)]
    while stack:
        expression, seen = stack.pop()
        if expression in ordered:
            continue
        if seen:
            ordered[expression] = None
        else:
            stack.append((expression, True))
            stack.extend((operand, False) for operand in reversed(expression.inputs))
    return list(ordered)


def evaluate(
    ends: Sequence[Expression], features: Tensor, surrogate: Callable[[Tensor], Tensor] | None = None
) -> list[Tensor]:
    """The expressions by torch, differentiable in the features.

    Args:
        surrogate: the network. Shape: batch input -> batch.

    Shape: features batch feature -> each batch width, of expressions with one row.
    """
    values: dict[Expression, Tensor] = {}
    for expression in order(*ends):
        inputs = [values[operand] for operand in expression.inputs]
        match expression.operator:
            case "constant":
                values[expression] = expression.numbers
            case "feature":
                start, stop = expression.numbers.tolist()
                values[expression] = features[:, None, start:stop]
            case "network":
                assert surrogate is not None
                values[expression] = surrogate(inputs[0][:, 0])[:, None, None]
            case _:
                values[expression] = _apply(expression, inputs)
    return [values[end].expand(len(features), 1, -1)[:, 0] for end in ends]


def enclose(end: Expression, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds by interval arithmetic, exact where no feature occurs twice, to rounding. Shape: feature -> width."""
    bounds: dict[Expression, tuple[Tensor, Tensor]] = {}
    for expression in order(end):
        ends = [bounds[operand] for operand in expression.inputs]
        match expression.operator:
            case "constant":
                bounds[expression] = (expression.numbers, expression.numbers)
            case "feature":
                start, stop = expression.numbers.tolist()
                bounds[expression] = (lower[None, start:stop], upper[None, start:stop])
            case "multiply" if expression.inputs[0] is expression.inputs[1]:
                low, high = ends[0]
                squares = torch.stack([low.square(), high.square()])
                bounds[expression] = (squares.amin(dim=0).where(low * high > 0, torch.zeros_like(low)), squares.amax(0))
            case "multiply":
                corners = torch.stack([a * b for a in ends[0] for b in ends[1]])
                bounds[expression] = (corners.amin(dim=0), corners.amax(dim=0))
            case "reciprocal":
                bounds[expression] = (ends[0][1].reciprocal(), ends[0][0].reciprocal())
            case "product":
                (low, high), matrix = ends[0], expression.numbers
                up, down = matrix.clamp(min=0.0), matrix.clamp(max=0.0)
                bounds[expression] = (low @ up + high @ down, high @ up + low @ down)
            case _:  # increasing
                low, high = (_apply(expression, [bound[i] for bound in ends]) for i in (0, 1))
                bounds[expression] = (low, high)
    return bounds[end][0][0], bounds[end][1][0]
