"""Values of an expression and their derivatives in S, forward along its operations, in numpy or in torch.

A power is 0^c with no derivative where its base is exactly 0 and its exponent no whole number: sqrt(max(S, 0)) rests at
its floor, instead of spoiling every derivative there by 0 times infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pricing.specs.expression import LEVEL, Expression, Operation


class Dual(NamedTuple):
    """A value and its derivative by S, None where it is free of S. Shape: each as what it was computed from."""

    value: Any
    slope: Any


def evaluate(expression: Expression, at: Mapping[str, Any], like: Any, *, library: Any) -> Dual:
    """The value and the derivative in S.

    Args:
        at: S, t, r and the constants, arrays that broadcast.
        like: gives 0-dimensional arrays: a function of a number.
        library: numpy or torch, whose functions of equal names are used.
    """
    return steps(expression, at, like, library=library)[-1]


def steps(expression: Expression, at: Mapping[str, Any], like: Any, *, library: Any) -> list[Dual]:
    """The same of every operation."""
    found: list[Dual] = []
    for operation in expression.operations:
        match operation.kind:
            case "number":
                found.append(Dual(like(operation.number), None))
            case "name":
                value = at[operation.name]
                found.append(Dual(value, library.ones_like(value) if operation.name == LEVEL else None))
            case "^":
                base, exponent = (found[place] for place in operation.operands)
                found.append(power(base, exponent, expression.exponent(operation), library=library))
            case _:
                found.append(applied(operation, [found[place] for place in operation.operands], library=library))
    return found


def applied(operation: Operation, of: list[Dual], *, library: Any) -> Dual:
    """The operations other than leaves and powers."""
    u, du = of[0]
    v, dv = of[1] if len(of) > 1 else (None, None)
    match operation.kind:
        case "neg":
            return Dual(-u, scaled(du, -1.0))
        case "+":
            return Dual(u + v, added(du, dv))
        case "-":
            return Dual(u - v, added(du, scaled(dv, -1.0)))
        case "*":
            return Dual(u * v, added(scaled(du, v), scaled(dv, u)))
        case "/":
            value = u / v
            top = added(du, scaled(dv, -value))
            return Dual(value, None if top is None else top / v)
        case "exp":
            value = library.exp(u)
            return Dual(value, scaled(du, value))
        case "log":
            return Dual(library.log(u), None if du is None else du / u)
        case "sqrt":
            return power(of[0], Dual(0.5, None), 0.5, library=library)
        case "tanh":
            value = library.tanh(u)
            return Dual(value, None if du is None else du * (1.0 - value * value))
        case "abs":
            return Dual(library.abs(u), None if du is None else du * library.sign(u))
        case "max" | "min":
            first = u >= v if operation.kind == "max" else u <= v
            value = (library.maximum if operation.kind == "max" else library.minimum)(u, v)
            return Dual(value, chosen(first, du, dv, library=library))
        case _:
            raise AssertionError(operation.kind)


def power(base: Dual, exponent: Dual, whole: float | None, *, library: Any) -> Dual:
    """A power of any base by an exponent that is a whole number, else of a base that is not negative.

    Args:
        whole: the exponent where it is a number.
    """
    u, du = base
    if whole is not None and whole % 1.0 == 0.0:
        return Dual(u**whole, None if du is None or not whole else du * (whole * u ** (whole - 1.0)))
    v, dv = exponent if whole is None else (whole, None)
    fractional = v % 1.0 != 0.0 if whole is None else True
    floor = (u == 0.0) & fractional
    safe = library.where(floor, 1.0, u)
    at_floor = float("inf") if whole is not None and whole < 0.0 else 0.0
    if whole is None:
        at_floor = library.where(v > 0.0, 0.0, float("inf"))
    value = library.where(floor, at_floor, safe**v)
    slope = None if du is None else du * library.where(floor, 0.0, v * safe ** (v - 1.0))
    return Dual(value, added(slope, None if dv is None else dv * (value * library.log(u))))


def scaled(slope: Any, factor: Any) -> Any:
    """A derivative times a factor, None of None."""
    return None if slope is None else slope * factor


def added(one: Any, other: Any) -> Any:
    """The sum of two derivatives, of which either may be None."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def chosen(first: Any, one: Any, other: Any, *, library: Any) -> Any:
    """The derivative of the branch that is taken."""
    if one is None and other is None:
        return None
    return library.where(first, 0.0 if one is None else one, 0.0 if other is None else other)
