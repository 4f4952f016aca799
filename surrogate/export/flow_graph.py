"""A normalising flow as two ONNX graphs: states from standard normals, and the log density of states.

The solver's steps are written out, so that a file answers as `surrogate.flows.flow` does, to rounding:

    sampler.onnx   normals [n, d] -> states [n, d]       x = m + A z(1)
    density.onnx   states [n, d] -> log_density [n]      log N(z(0)) - int_0^1 tr df/dz dt - log det A

Factors are as wide as what they multiply: onnxruntime fuses one of a single number into a product as a float32.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from surrogate.errors import ParityFailure, SurrogateError
from surrogate.export.graph import Graph
from surrogate.export.network_graph import ACTIVATION_NODES
from surrogate.export.onnx_writer import IR_VERSION, OPSET
from surrogate.flows.flow import EXACT_DIMENSION, Flow, log_density, transport
from surrogate.runtime import open_session
from surrogate.spec import DENSITY, SAMPLER

# Largest difference accepted between graph and flow, of states in their deviations and of log densities.
TOLERANCE = 1e-9
POINTS = 1_000


def flow_to_onnx(flow: Flow) -> dict[str, bytes]:
    """Both graphs by file name, checked against the flow.

    Raises:
        SurrogateError: the trace of the flow is estimated by random signs, which no graph draws.
        ParityFailure: a graph does not reproduce the flow.
    """
    if flow.dimension > EXACT_DIMENSION and len(flow.field.weights) > 3:
        raise SurrogateError(
            f"the density of a flow of {len(flow.field.weights) - 1} hidden layers in {flow.dimension} coordinates is "
            f"an estimate; use at most 2 layers, or at most {EXACT_DIMENSION} coordinates"
        )
    graphs = {SAMPLER: _sampler(flow), DENSITY: _density(flow)}
    check_flow(graphs, flow)
    return graphs


def check_flow(graphs: dict[str, bytes], flow: Flow, *, seed: int = 0) -> None:
    """Raise ParityFailure unless the graphs answer as the flow does, an empty batch too."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(POINTS, flow.dimension, generator=generator, dtype=torch.float64)
    states = transport(flow, normals)
    with torch.no_grad():
        density = log_density(flow, states, generator=generator)
    sampler, judge = open_session(graphs[SAMPLER]), open_session(graphs[DENSITY])
    (drawn,) = sampler.run(None, {"normals": normals.numpy()})
    (judged,) = judge.run(None, {"states": states.numpy()})
    far = {
        SAMPLER: float(((torch.from_numpy(drawn) - states).abs() / flow.factor.diagonal()).max()),
        DENSITY: float((torch.from_numpy(judged) - density).abs().max()),
    }
    for file, difference in far.items():
        if not difference <= TOLERANCE:
            raise ParityFailure(f"{file} differs from the flow by {difference:.3g}; the bound is {TOLERANCE:g}")
    if sampler.run(None, {"normals": normals.numpy()[:0]})[0].shape != (0, flow.dimension):
        raise ParityFailure(f"{SAMPLER} does not take an empty batch")


class _Solver:
    """Nodes of the Runge-Kutta steps of a field."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.graph = flow, Graph(np.float64)
        self.weights = [weight.numpy() for weight in flow.field.weights]
        first = self.weights[0]
        self.names = [
            self.graph.constant(f"weight_{layer}", first[:, :-1] if layer == 1 else weight)
            for layer, weight in enumerate(self.weights, 1)
        ]

    def march(self, z: str, *, begin: float, end: float, traced: bool) -> tuple[str, str]:
        """z at the end and, if it is traced, the integral of the trace on the way [n, 1]; else ""."""
        steps = self.flow.steps
        h, integral = (end - begin) / steps, ""
        for step in range(steps):
            t = begin + step * h
            stages = [self.field(z, t, traced)]
            for share in (0.5, 0.5, 1.0):
                stages.append(self.field(self._step(z, stages[-1][0], share * h), t + share * h, traced))
            velocities, traces = zip(*stages, strict=True)
            z = self._step(z, self._mean(velocities), h)
            if traced:
                moved = self.graph.node("Mul", self._mean(traces), self.graph.constant(f"step_{h:g}", [[h]]))
                integral = self.graph.node("Add", integral, moved) if integral else moved
        return z, integral

    def field(self, z: str, t: float, traced: bool) -> tuple[str, str]:
        """f(z, t) and tr df/dz there [n, 1]."""
        graph, field = self.graph, self.flow.field
        moving = field.weights[0][:, -1] * t + field.biases[0]
        h, slopes = z, list[str]()
        for layer, name in enumerate(self.names, 1):
            at = f"bias_1_at_{t:.12g}" if layer == 1 else f"bias_{layer}"
            bias = graph.constant(at, (moving if layer == 1 else field.biases[layer - 1]).numpy())
            h = graph.node("Gemm", h, name, bias, transB=1)
            if layer < len(self.names):
                h, slope, _ = ACTIVATION_NODES[field.activation](graph, h)
                slopes.append(slope)
        return h, self.trace(slopes) if traced else ""

    def trace(self, slopes: list[str]) -> str:
        """As `surrogate.flows.flow` takes it: outer weights first, or a tangent a coordinate."""
        graph, axis = self.graph, self.graph.integers([1])
        first, last = self.weights[0][:, :-1], self.weights[-1]
        if len(slopes) == 1:
            ends = graph.constant("ends", (first * last.T).sum(axis=1)[None])
            return graph.node("ReduceSum", graph.node("Mul", slopes[0], ends), axis)
        if len(slopes) == 2:
            middle = graph.constant("middle", self.weights[1] * (first @ last).T)
            inner = graph.node("MatMul", slopes[1], middle)
            return graph.node("ReduceSum", graph.node("Mul", inner, slopes[0]), axis)
        tangent = graph.constant("tangent", first.T[None])
        for layer, slope in enumerate(slopes, 2):
            bent = graph.node("Mul", tangent, graph.node("Unsqueeze", slope, axis))
            turned = graph.constant(f"transposed_{layer}", self.weights[layer - 1].T)
            tangent = graph.node("MatMul", bent, turned)
        diagonal = graph.node("Mul", tangent, graph.constant("eye", np.eye(self.flow.dimension)[None]))
        return graph.node("ReduceSum", graph.node("ReduceSum", diagonal, graph.integers([2]), keepdims=0), axis)

    def _step(self, z: str, velocity: str, h: float) -> str:
        factor = self.graph.constant(f"wide_step_{h:.12g}", np.full((1, self.flow.dimension), h))
        return self.graph.node("Add", z, self.graph.node("Mul", velocity, factor))

    def _mean(self, stages: tuple[str, ...]) -> str:
        """(k_1 + 2 k_2 + 2 k_3 + k_4) / 6."""
        graph, (k1, k2, k3, k4) = self.graph, stages
        inner = graph.node("Add", k2, k3)
        both = graph.node("Add", graph.node("Add", k1, k4), graph.node("Add", inner, inner))
        return graph.node("Div", both, graph.constant("six", [[6.0]]))

    def model(self, given: str, result: str, *, rank: int) -> bytes:
        """The file from one tensor [n, d] to another of a rank."""
        shape: list[str | int | None] = ["n", self.flow.dimension]
        kind = TensorProto.DOUBLE
        model = helper.make_model(
            helper.make_graph(
                self.graph.nodes,
                "sobolite",
                [helper.make_tensor_value_info(given, kind, shape)],
                [helper.make_tensor_value_info(result, kind, shape[:rank])],
                list(self.graph.constants.values()),
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="sobolite",
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def _sampler(flow: Flow) -> bytes:
    solver = _Solver(flow)
    z, _ = solver.march("normals", begin=0.0, end=1.0, traced=False)
    factor, mean = _constants(solver, flow.factor, flow.mean)
    solver.graph.node("Gemm", z, factor, mean, transB=1, name="states")
    return solver.model("normals", "states", rank=2)


def _density(flow: Flow) -> bytes:
    solver, d = _Solver(flow), flow.dimension
    graph = solver.graph
    white: Tensor = torch.linalg.solve_triangular(flow.factor, torch.eye(d, dtype=torch.float64), upper=False)
    inverse, shift = _constants(solver, white, -(white @ flow.mean))
    # From 1 to 0, which is the minus sign of the formula.
    z, integral = solver.march(graph.node("Gemm", "states", inverse, shift, transB=1), begin=1.0, end=0.0, traced=True)
    square = graph.node("ReduceSum", graph.node("Mul", z, z), graph.integers([1]))
    half = graph.node("Mul", square, graph.constant("minus_half", [[-0.5]]))
    level = -0.5 * d * math.log(2.0 * math.pi) - float(flow.factor.diagonal().log().sum())
    total = graph.node("Add", graph.node("Add", half, integral), graph.constant("level", [[level]]))
    graph.node("Reshape", total, graph.integers([-1]), name="log_density")
    return solver.model("states", "log_density", rank=1)


def _constants(solver: _Solver, matrix: Tensor, vector: Tensor) -> tuple[str, str]:
    return solver.graph.constant("factor", matrix.numpy()), solver.graph.constant("shift", vector.numpy())
