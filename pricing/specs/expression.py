"""Expressions that users write for coefficients: a closed grammar, parsed without `eval`, as a list of operations.

    sum     = product {("+" | "-") product}            power = atom [("^" | "**") signed]
    product = signed {("*" | "/") signed}              atom  = number | name | "(" sum ")"
    signed  = ("+" | "-") signed | power                     | function "(" sum {"," sum} ")"

so that -S^2 is -(S^2) and 2^3^2 is 2^9. Equal parts are one operation. Torch-free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

from pricing.errors import InvalidSpec

# Bounds of an expression: those of the literature have some twenty operations and a hundred characters.
MAXIMUM_LENGTH, MAXIMUM_OPERATIONS, MAXIMUM_NESTING = 2000, 256, 32
# The level of the asset; the variables beside it: years from today, and the rate there.
LEVEL = "S"
VARIABLES = (LEVEL, "t", "r")
# Functions with the fewest and the most arguments that they take; None where there is no most.
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "exp": (1, 1),
    "log": (1, 1),
    "sqrt": (1, 1),
    "tanh": (1, 1),
    "abs": (1, 1),
    "max": (2, None),
    "min": (2, None),
}
# Operations that have kinks.
KINKED = frozenset({"abs", "max", "min"})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/^(),])|(?P<end>\Z))"
)
# Characters of a fault, and of the whole text, that a sentence shows.
SHOWN, SHOWN_WHOLE = 20, 80


@dataclass(frozen=True)
class Operation:
    """One step: a number, a name, or a function of earlier steps.

    Args:
        kind: "number", "name", "neg", "+", "-", "*", "/", "^" or a function.
        operands: places of what it is applied to.
        number, name: what a leaf is.
    """

    kind: str
    operands: tuple[int, ...] = ()
    number: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Expression:
    """Operations in order, the last of which is the value; equal parts stand once.

    Args:
        parts: the text of every operation, where it stood first.
    """

    text: str
    operations: tuple[Operation, ...]
    parts: tuple[str, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """Variables and constants that it names."""
        return frozenset(operation.name for operation in self.operations if operation.kind == "name")

    @cached_property
    def degrees(self) -> tuple[float, ...]:
        """Of every operation, its degree as a polynomial in S; infinite where it is known to be none."""
        found: list[float] = []
        for operation in self.operations:
            found.append(_degree(self, operation, [found[place] for place in operation.operands]))
        return tuple(found)

    @property
    def degree(self) -> float:
        """Its degree as a polynomial in S: 0 where it is free of S; infinite where it is known to be none."""
        return self.degrees[-1]

    @property
    def kinked(self) -> bool:
        """Whether it may have kinks in S."""
        steps = zip(self.operations, self.degrees, strict=True)
        return any(operation.kind in KINKED and degree > 0.0 for operation, degree in steps)

    def exponent(self, operation: Operation) -> float | None:
        """The exponent of a power where it is a number, in which powers differ; else None."""
        step = self.operations[operation.operands[1]]
        if step.kind == "neg" and self.operations[step.operands[0]].kind == "number":
            return -self.operations[step.operands[0]].number
        return step.number if step.kind == "number" else None


def parse(text: str, *, name: str) -> Expression:
    """The expression that a text says, in time linear in its length.

    Args:
        name: of the field that holds it, for the sentence of a refusal.

    Raises:
        InvalidSpec: names the field, the position, what is there and what may be.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise InvalidSpec(
            f"{name}: an expression may have {MAXIMUM_LENGTH} characters, got {len(text)}; name what repeats as a "
            "constant, or simplify it",
            path=name,
            bound=MAXIMUM_LENGTH,
        )
    return _Parser(text=text, name=name).whole()


def _degree(whole: Expression, operation: Operation, of: list[float]) -> float:
    """The degree in S of an operation, given those of its operands."""
    if operation.kind in ("number", "name"):
        return 1.0 if operation.name == LEVEL else 0.0
    if not any(of):
        return 0.0
    match operation.kind:
        case "neg" | "+" | "-":
            return max(of)
        case "*":
            return sum(of)
        case "/" if of[1] == 0.0:
            return of[0]
        case "^" if (exponent := whole.exponent(operation)) is not None and exponent >= 0.0 and exponent % 1.0 == 0.0:
            return of[0] * exponent if exponent else 0.0
        case _:
            return float("inf")


@dataclass
class _Parser:
    """A recursive descent over the text, one token ahead; its depth is bounded."""

    text: str
    name: str
    at: int = 0
    kind: str = ""
    token: str = ""
    end: int = 0
    nesting: int = 0
    places: dict[Operation, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    def whole(self) -> Expression:
        """All of the text."""
        self.read()
        self.sum()
        if self.kind != "end":
            self.refuse("an operator or the end")
        return Expression(text=self.text, operations=tuple(self.places), parts=tuple(self.parts))

    def read(self) -> None:
        """The next token, at ``at``; ``end`` is where the last one ended."""
        self.end = self.at + len(self.token)
        found = TOKEN.match(self.text, self.end)
        if found is None:
            self.at = self.end + len(self.text[self.end :]) - len(self.text[self.end :].lstrip())
            self.kind, self.token = "unknown", self.text[self.at]
            self.refuse("a number, a name, a function, an operator or a bracket")
        self.kind = str(found.lastgroup)
        self.token, self.at = found[self.kind], found.start(self.kind)

    def takes(self, *signs: str) -> str:
        """The token if it is one of the signs, which is then read past; else ""."""
        if self.kind != "sign" or self.token not in signs:
            return ""
        sign = self.token
        self.read()
        return sign

    def sum(self) -> int:
        """The place of a sum."""
        start, left = self.at, self.product()
        while sign := self.takes("+", "-"):
            left = self.add(sign, left, self.product(), start=start)
        return left

    def product(self) -> int:
        """The place of a product."""
        start, left = self.at, self.signed()
        while sign := self.takes("*", "/"):
            left = self.add(sign, left, self.signed(), start=start)
        return left

    def signed(self) -> int:
        """The place of a power with its signs."""
        start, negative = self.at, False
        while sign := self.takes("+", "-"):
            negative ^= sign == "-"
        place = self.power()
        return self.add("neg", place, start=start) if negative else place

    def power(self) -> int:
        """The place of an atom or of its power."""
        start, base = self.at, self.atom()
        if not self.takes("^", "**"):
            return base
        self.deepen()
        place = self.add("^", base, self.signed(), start=start)
        self.nesting -= 1
        return place

    def atom(self) -> int:
        """The place of a number, a name, a function's value or what brackets hold."""
        start, token, kind = self.at, self.token, self.kind
        if kind == "number":
            self.read()
            return self.leaf(Operation("number", number=self.number(token, start)), start)
        if kind == "name":
            self.read()
            if token in FUNCTIONS:
                return self.function(token, start)
            return self.leaf(Operation("name", name=token), start)
        if not self.takes("("):
            self.refuse("a number, a name, a function or '('")
        self.deepen()
        place = self.sum()
        self.close()
        return place

    def function(self, called: str, start: int) -> int:
        """The place of a function's value; several arguments two by two."""
        if not self.takes("("):
            self.refuse(f"'(' after {called}")
        self.deepen()
        arguments = [self.sum()]
        while self.takes(","):
            arguments.append(self.sum())
        self.close()
        least, most = FUNCTIONS[called]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = f"{least}" if least == most else f"{least} or more"
            raise InvalidSpec(
                f"{self.name}: {called} takes {wanted} arguments, got {len(arguments)} at character {start + 1}",
                path=self.name,
            )
        first, *others = arguments
        if not others:
            return self.add(called, first, start=start)
        for other in others:
            first = self.add(called, first, other, start=start)
        return first

    def deepen(self) -> None:
        """One bracket, function or exponent within another."""
        self.nesting += 1
        if self.nesting > MAXIMUM_NESTING:
            raise InvalidSpec(
                f"{self.name}: brackets, functions and exponents may stand {MAXIMUM_NESTING} deep, and are deeper at "
                f"character {self.at + 1}; simplify it",
                path=self.name,
                bound=MAXIMUM_NESTING,
            )

    def close(self) -> None:
        """The bracket that ends what was opened."""
        if not self.takes(")"):
            self.refuse("an operator, ',' or ')'")
        self.nesting -= 1

    def add(self, kind: str, *operands: int, start: int) -> int:
        """The place of an operation."""
        return self.leaf(Operation(kind, operands=operands), start)

    def leaf(self, operation: Operation, start: int) -> int:
        """The place of an operation, the old one where it is there already."""
        if operation not in self.places:
            if len(self.places) >= MAXIMUM_OPERATIONS:
                raise InvalidSpec(
                    f"{self.name}: an expression may have {MAXIMUM_OPERATIONS} different operations, and has more at "
                    f"character {start + 1}; simplify it",
                    path=self.name,
                    bound=MAXIMUM_OPERATIONS,
                )
            self.places[operation] = len(self.places)
            self.parts.append(self.text[start : self.end])
        return self.places[operation]

    def number(self, token: str, start: int) -> float:
        """A finite number."""
        number = float(token)
        if number == float("inf"):
            raise InvalidSpec(
                f"{self.name}: the number {token[:SHOWN]} at character {start + 1} is too large for float64",
                path=self.name,
            )
        return number

    def refuse(self, wanted: str) -> NoReturn:
        """Raise InvalidSpec about the token."""
        there = "the end" if self.kind == "end" else repr(self.text[self.at : self.at + SHOWN])
        raise InvalidSpec(
            f"{self.name}: got {there} at character {self.at + 1} of {self.text[:SHOWN_WHOLE]!r}, where {wanted} "
            f"should be; an expression has numbers, {', '.join(VARIABLES)}, constants, + - * / ^ ( ) and the "
            f"functions {', '.join(FUNCTIONS)}",
            path=self.name,
        )
