"""An ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

# Largest W x W that is written to the file; 3 neurons and 7 features take 441 numbers, 64 and 100 would take 300 MB.
OUTER_ENTRIES = 1 << 16

# Names of the tensors that hold a surrogate's value [n], gradient [n, d] and Hessian [n, d, d].
Names = tuple[str, str, str]


class Graph:
    """Collects nodes and constants; every method returns the name of the tensor it makes."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """An operator on tensors by their names."""
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, array: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        """Numbers under a name; the first of a name stay."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array, dtype or self.dtype), name)
        return name

    def integers(self, values: Sequence[int]) -> str:
        """Whole numbers: a shape, ends, axes."""
        return self.constant("shape_" + "_".join(map(str, values)).replace("-", "m"), list(values), np.int64)

    def one(self) -> str:
        """The number 1."""
        return self.constant("one", 1.0)

    def logistic(self, a: str) -> str:
        """1 / (1 + e^-a): exact in the tail, where onnxruntime's float64 Sigmoid flushes to 0, and faster."""
        return self.node("Reciprocal", self.node("Add", self.one(), self.node("Exp", self.node("Neg", a))))


def mapped_out(graph: Graph, weight: npt.NDArray[np.floating], name: str, flat: str) -> str:
    """W^T G W of a symmetric G, all flattened; ``name`` is that of W in the graph.

    The long way are two products of plain matrices: onnxruntime multiplies no empty batch of transposed ones.

    Shape: weight W feature; ``flat`` batch (W W) -> batch (feature feature), or its rows one after the other.
    """
    width, d = weight.shape
    if width * width * d * d <= OUTER_ENTRIES:
        outer = np.einsum("ai,bj->abij", weight, weight).reshape(width * width, d * d)
        return graph.node("MatMul", flat, graph.constant("first_layer_outer", outer))
    half = graph.node("MatMul", graph.node("Reshape", flat, graph.integers([-1, width])), name)
    turned = graph.node("Transpose", graph.node("Reshape", half, graph.integers([-1, width, d])), perm=[0, 2, 1])
    return graph.node("MatMul", graph.node("Reshape", turned, graph.integers([-1, width])), name)
