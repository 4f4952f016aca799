"""Formulas and their derivatives as nodes of an ONNX graph, around the network's own nodes.

Every expression is a tensor [n, rows, width]. A product with one column is a multiplication and a sum, and a constant
of one number is spread to the width it meets: onnxruntime would fuse a single factor into a matrix product as a float32
(docs/decisions/0005-onnx-graph.md). Tensors of the same operator and inputs are made once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from onnx import helper
from torch import Tensor

from pricing.domain import Box
from surrogate.export.derivatives import gradient, tangents
from surrogate.export.graph import Graph, Names
from surrogate.reductions.expressions import Expression, feature, order
from surrogate.reductions.variance import nodes

OPERATORS = {
    "add": "Add",
    "multiply": "Mul",
    "exp": "Exp",
    "log": "Log",
    "square_root": "Sqrt",
    "reciprocal": "Reciprocal",
}
# Beyond so many deviations the normal distribution function is 0 or 1 to rounding.
FAR = 8.0
# Gauss-Legendre nodes of the distribution function: 1e-15 up to FAR.
NODES = 24
# Adds the surrogate of a tensor [n, input] to the graph.
AddSurrogate = Callable[[str], Names]


def add_formula(graph: Graph, value: Expression, box: Box, add_surrogate: AddSurrogate) -> None:
    """``value``, ``delta`` and ``gamma`` of a formula of the features."""
    d, blocks = box.dimension, [box.columns(block.name) for block in box.features]
    known = {leaf.numbers[0].item(): leaf for leaf in order(value) if leaf.operator == "feature"}
    leaves = [known.get(block.start, feature(block.start, block.stop)) for block in blocks]
    eye = torch.eye(d, dtype=torch.float64)
    slopes = gradient(value, leaves)
    bends = tangents(slopes, {leaf: eye[:, block] for leaf, block in zip(leaves, blocks, strict=True)})
    emitter = _Emitter(graph, d, add_surrogate)
    graph.node("Reshape", emitter.name(value), graph.integers([-1]), name="value")
    graph.node("Reshape", emitter.columns(slopes), graph.integers([-1, d]), name="delta")
    graph.node("Reshape", emitter.columns(bends), graph.integers([-1, d, d]), name="gamma")


class _Emitter:
    """Names of the tensors that hold expressions, each made when it is first asked for."""

    def __init__(self, graph: Graph, dimension: int, add_surrogate: AddSurrogate) -> None:
        self.graph = graph
        self.add_surrogate = add_surrogate
        self.made: dict[Expression, str] = {}
        self.alike: dict[tuple[str, ...], str] = {}
        self.added: dict[str, Names] = {}
        self.features = graph.node("Reshape", "features", graph.integers([-1, 1, dimension]))

    def columns(self, expressions: Sequence[Expression]) -> str:
        """Several expressions side by side, constants repeated for every sample."""
        names = [self._repeated(operand) if operand.is_constant else self.name(operand) for operand in expressions]
        return self.graph.node("Concat", *names, axis=2) if len(names) > 1 else names[0]

    def name(self, end: Expression) -> str:
        """The tensor of an expression."""
        for expression in order(end):
            if expression not in self.made and not expression.is_constant:
                self.made[expression] = self._node(expression)
        return self._of(end)

    def _of(self, operand: Expression) -> str:
        return self._constant(operand.numbers) if operand.is_constant else self.made[operand]

    def _node(self, y: Expression) -> str:
        match y.operator:
            case "feature":
                return self._slice(*y.numbers.tolist())
            case "add" | "multiply":
                names = (self._spread(operand, y.width) for operand in y.inputs)
                return self._once(OPERATORS[y.operator], *names)
            case "product":
                return self._once("MatMul", self._of(y.inputs[0]), self._constant(y.numbers))
            case "normal":
                return self._normal(self._of(y.inputs[0]))
            case "total":
                return self._once("ReduceSum", self._of(y.inputs[0]), self.graph.integers([2]))
            case "clamp":
                return self._clamp(self._of(y.inputs[0]), y.numbers)
            case "inside":
                return self._inside(self._of(y.inputs[0]), y.numbers)
            case "network" | "network_gradient":
                tensor = self._surrogate(y.inputs[0])[0 if y.operator == "network" else 1]
                return self._once("Reshape", tensor, self.graph.integers([-1, 1, y.width]))
            case "network_curvature":
                hessian, tangent = self._surrogate(y.inputs[0])[2], y.inputs[1]
                if y.width == 1:
                    return self._once("Mul", self._of(tangent), hessian)
                if tangent.is_constant and torch.equal(tangent.numbers, torch.eye(y.width, dtype=torch.float64)):
                    return hessian
                # The same tangents for all samples: one matrix and no samples do not broadcast.
                rows = self._repeated(tangent) if tangent.is_constant else self._of(tangent)
                return self._once("MatMul", rows, hessian)
            case _:
                return self._once(OPERATORS[y.operator], self._of(y.inputs[0]))

    def _once(self, operator: str, *inputs: str) -> str:
        key = (operator, *inputs)
        if key not in self.alike:
            self.alike[key] = self.graph.node(operator, *inputs)
        return self.alike[key]

    def _constant(self, array: Tensor) -> str:
        numbers = array.numpy()
        digest = hashlib.sha256(str(numbers.shape).encode() + numbers.tobytes()).hexdigest()[:16]
        return self.graph.constant(f"number_{digest}", numbers)

    def _spread(self, operand: Expression, width: int) -> str:
        if operand.is_constant and operand.width < width:
            return self._constant(operand.numbers.expand(-1, width).contiguous())
        return self._of(operand)

    def _repeated(self, operand: Expression) -> str:
        nothing = self._once("Mul", self._slice(0, 1), self._constant(torch.zeros(1, 1, dtype=torch.float64)))
        return self._once("Add", nothing, self._constant(operand.numbers))

    def _slice(self, start: int, stop: int) -> str:
        integers = self.graph.integers
        return self._once("Slice", self.features, integers([start]), integers([stop]), integers([2]))

    def _clamp(self, x: str, bounds: Tensor) -> str:
        low, high = bounds.tolist()
        clamped = self._once("Max", x, self._constant(bounds[None, :1])) if low > -math.inf else x
        return self._once("Min", clamped, self._constant(bounds[None, 1:])) if high < math.inf else clamped

    def _inside(self, x: str, bounds: Tensor) -> str:
        low, high = bounds.tolist()
        tests = [self._once("Greater", x, self._constant(bounds[None, :1]))] if low > -math.inf else []
        tests += [self._once("Less", x, self._constant(bounds[None, 1:]))] if high < math.inf else []
        both = self._once("And", *tests) if len(tests) > 1 else tests[0]
        return self.graph.node("Cast", both, to=helper.np_dtype_to_tensor_dtype(self.graph.dtype))

    def _normal(self, x: str) -> str:
        """N(x) = 1/2 + x / sqrt(2 pi) int_0^1 e^(-x^2 t^2 / 2) dt: no runtime has an error function in float64."""
        points, weights = nodes(NODES)
        near = self._clamp(x, torch.tensor([-FAR, FAR], dtype=torch.float64))
        halved = self._once("Mul", self._once("Mul", near, near), self._constant(-0.5 * points.square()[None]))
        sums = self._once(
            "MatMul", self._once("Exp", halved), self._constant(weights[:, None] * (1.0 / math.sqrt(2.0 * math.pi)))
        )
        return self._once(
            "Add", self._once("Mul", near, sums), self._constant(torch.full((1, 1), 0.5, dtype=torch.float64))
        )

    def _surrogate(self, inputs: Expression) -> Names:
        name = self._of(inputs)
        if name not in self.added:
            flat = self.graph.node("Reshape", name, self.graph.integers([-1, inputs.width]))
            self.added[name] = self.add_surrogate(flat)
        return self.added[name]
