"""First and second derivatives of formulas, as formulas.

First derivatives come from an adjoint sweep, second ones from a tangent sweep through the first: it costs d times a
value, whatever lies between. The network's own sweeps give what the two here need of it.

References: Griewank & Walther, "Evaluating Derivatives" (2008), chapters 3 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from surrogate.reductions.expressions import Expression, add, constant, exp, multiply, order, product, reciprocal, total


def gradient(end: Expression, leaves: Sequence[Expression]) -> list[Expression]:
    """The derivatives of one number by the leaves: the adjoint sweep. Shape: as the leaves."""
    adjoints: dict[Expression, Expression] = {end: constant(1.0)}
    for expression in reversed(order(end)):
        if expression not in adjoints:
            continue
        for operand, share in zip(expression.inputs, _pull(expression, adjoints[expression]), strict=True):
            if not operand.is_constant:
                share = share if operand.width == expression.width else _summed(share, operand, expression)
                adjoints[operand] = adjoints[operand] + share if operand in adjoints else share
    return [_widened(adjoints.get(leaf, constant(0.0)), leaf.width) for leaf in leaves]


def _widened(operand: Expression, width: int) -> Expression:
    """In full, where one column stands for as many equal ones."""
    return multiply(operand, constant(torch.ones(width)))


def _sum(operand: Expression, width: int) -> Expression:
    """The sum over a width, of which one column may stand for all."""
    return total(operand) if operand.width == width else operand * float(width)


def _summed(share: Expression, operand: Expression, y: Expression) -> Expression:
    """What a part of one column owes, that was broadcast to all of y."""
    return _sum(share, y.width) if operand.width == 1 and y.operator in ("add", "multiply") else share


def _pull(y: Expression, adjoint: Expression) -> tuple[Expression, ...]:
    """What the inputs of y owe to its adjoint, of which one column may stand for all."""
    x = y.inputs[0] if y.inputs else y
    match y.operator:
        case "add":
            return adjoint, adjoint
        case "multiply":
            return adjoint * y.inputs[1], adjoint * x
        case "product":
            return (product(_widened(adjoint, y.width), y.numbers.T),)
        case "total":
            return (adjoint,)
        case "network":
            return (adjoint * Expression("network_gradient", (x,), None, 1, x.width),)
        case "constant" | "feature" | "inside":
            return tuple(constant(0.0) for _ in y.inputs)
        case _:
            return (adjoint * slope(y),)


def slope(y: Expression) -> Expression:
    """The derivative of an operator that works entry by entry."""
    x = y.inputs[0]
    match y.operator:
        case "exp":
            return y
        case "log":
            return reciprocal(x)
        case "square_root":
            return reciprocal(y) * 0.5
        case "reciprocal":
            return -(y * y)
        case "normal":
            return exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        case "clamp":
            return Expression("inside", (x,), y.array, y.rows, y.width)
        case operator:
            raise AssertionError(f"{operator} does not work entry by entry")


def tangents(ends: Sequence[Expression], seeds: Mapping[Expression, Tensor]) -> list[Expression]:
    """Derivatives along every direction: the tangent sweep.

    Args:
        seeds: by leaf, its derivative along each direction. Shape: direction width.

    Shape: -> direction width, of each end.
    """
    directions = len(next(iter(seeds.values())))
    moved: dict[Expression, Expression] = {leaf: constant(seed) for leaf, seed in seeds.items()}
    for y in order(*ends):
        if y not in moved and any(operand in moved for operand in y.inputs):
            along = _push(y, moved)
            if along is not None:
                moved[y] = along
    still = constant(torch.zeros(directions, 1))
    return [_widened(moved.get(end, still), end.width) for end in ends]


def _push(y: Expression, moved: Mapping[Expression, Expression]) -> Expression | None:
    """The tangent of y from those of its inputs, one column for all if they are equal; None where y does not move."""
    x = y.inputs[0]
    match y.operator:
        case "add":
            terms = [moved[operand] for operand in y.inputs if operand in moved]
        case "multiply":
            a, b = y.inputs
            terms = [moved[operand] * other for operand, other in ((a, b), (b, a)) if operand in moved]
        case "product":
            return product(_widened(moved[x], x.width), y.numbers)
        case "total":
            return _sum(moved[x], x.width)
        case "inside":
            return None
        case "network":
            return total(moved[x] * Expression("network_gradient", (x,), None, 1, x.width))
        case "network_gradient":
            return Expression("network_curvature", (x, _widened(moved[x], x.width)), None, moved[x].rows, x.width)
        case _:
            return moved[x] * slope(y)
    return terms[0] if len(terms) == 1 else add(*terms)
