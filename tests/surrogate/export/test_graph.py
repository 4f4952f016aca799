from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from surrogate.export.graph import OUTER_ENTRIES, Graph, mapped_out
from surrogate.runtime import open_session


def answer(graph: Graph, output: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the runtime makes of the tensor ``x`` of the graph."""
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in ("x", output)]
    whole = helper.make_graph(graph.nodes, "test", ends[:1], ends[1:], list(graph.constants.values()))
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: NDArray[np.float64] = open_session(model.SerializeToString()).run([output], {"x": x})[0]
    return found


def test_the_first_constant_of_a_name_stays_in_the_type_of_the_graph() -> None:
    graph = Graph(np.float32)
    assert graph.constant("half", 0.5) == graph.constant("half", 7.0) == "half"
    (stored,) = graph.constants.values()
    assert numpy_helper.to_array(stored).item() == 0.5
    assert stored.data_type == TensorProto.FLOAT


def test_whole_numbers_are_named_by_what_they_are() -> None:
    graph = Graph(np.float64)
    assert graph.integers([-1, 3]) == graph.integers([-1, 3]) != graph.integers([1, 3])
    assert numpy_helper.to_array(graph.constants[graph.integers([-1, 3])]).dtype == np.int64


def test_the_logistic_is_exact_far_in_the_tail() -> None:
    graph, x = Graph(np.float64), np.array([-700.0, -300.0, -40.0, 0.0, 40.0])
    np.testing.assert_allclose(answer(graph, graph.logistic("x"), x), 1.0 / (1.0 + np.exp(-x)), rtol=1e-15)


@pytest.mark.parametrize(("width", "features"), [(3, 7), (40, 50)])
def test_a_hessian_is_mapped_out_the_short_and_the_long_way(width: int, features: int) -> None:
    assert (width * width * features * features <= OUTER_ENTRIES) is (width == 3)
    rng, graph = np.random.default_rng(0), Graph(np.float64)
    weight, half = rng.standard_normal((width, features)), rng.standard_normal((5, width, width))
    inner = half + half.transpose(0, 2, 1)
    name = graph.constant("weight", weight)
    flat = answer(graph, mapped_out(graph, weight, name, "x"), inner.reshape(5, -1))
    want = weight.T @ inner @ weight
    np.testing.assert_allclose(flat.reshape(want.shape), want, rtol=1e-12, atol=1e-12 * np.abs(want).max())
