"""A flow's graphs against the flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from surrogate.errors import ParityFailure, SurrogateError
from surrogate.export.flow_graph import check_flow, flow_to_onnx
from surrogate.flows.flow import Flow, log_density, start_flow
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import initialise
from surrogate.runtime import open_session
from surrogate.spec import DENSITY, SAMPLER


def bent(d: int, hidden: tuple[int, ...], activation: ActivationName = "tanh", *, steps: int = 3) -> Flow:
    """A flow far from its Gaussian."""
    generator = torch.Generator().manual_seed(d)
    states = 100.0 * torch.rand(50, d, generator=generator, dtype=torch.float64) ** 2
    flow = start_flow(states, hidden, activation, steps=steps, generator=generator)
    field = initialise((d + 1, *hidden, d), activation, generator=generator)
    return replace(flow, field=field)


@pytest.mark.parametrize("hidden", [(5,), (5, 4), (5, 4, 3)])
@pytest.mark.parametrize("activation", ["tanh", "silu", "softplus"])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_the_graphs_answer_as_the_flow_does(d: int, activation: ActivationName, hidden: tuple[int, ...]) -> None:
    """`flow_to_onnx` refuses otherwise; here at states that it did not try."""
    flow = bent(d, hidden, activation)
    graphs = flow_to_onnx(flow)
    generator = torch.Generator().manual_seed(99)
    normals = torch.randn(20, d, generator=generator, dtype=torch.float64)
    (states,) = open_session(graphs[SAMPLER]).run(["states"], {"normals": normals.numpy()})
    (density,) = open_session(graphs[DENSITY]).run(["log_density"], {"states": states})
    want = log_density(flow, torch.from_numpy(states), generator=generator)
    np.testing.assert_allclose(density, want.numpy(), rtol=1e-9, atol=1e-9)
    for model in graphs.values():
        assert {node.domain for node in onnx.load_from_string(model).graph.node} == {""}


def test_the_density_is_one_over_the_plane() -> None:
    flow = bent(1, (4, 4), steps=16)
    places = np.linspace(-2000.0, 2000.0, 200_001)[:, None]
    (density,) = open_session(flow_to_onnx(flow)[DENSITY]).run(None, {"states": places})
    assert np.trapezoid(np.exp(density), places[:, 0]) == pytest.approx(1.0, abs=1e-3)


def test_an_estimated_trace_has_no_graph() -> None:
    with pytest.raises(SurrogateError, match="use at most 2 layers, or at most 10 coordinates"):
        flow_to_onnx(bent(11, (3, 3, 3)))
    assert set(flow_to_onnx(bent(11, (3, 3)))) == {SAMPLER, DENSITY}


def test_a_graph_of_another_flow_is_found_out() -> None:
    graphs = flow_to_onnx(bent(2, (4,)))
    with pytest.raises(ParityFailure, match="differs from the flow by"):
        check_flow(graphs, bent(2, (4,), steps=4))
