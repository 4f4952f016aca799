from __future__ import annotations

from importlib.metadata import version

import numpy as np
import onnx
import torch

from pricing.domain import Box, Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise
from surrogate.greeks import greeks
from surrogate.reductions.choice import reduce
from surrogate.runtime import open_session


def test_file_describes_itself(network: Network, box: Box) -> None:
    model = onnx.load_from_string(to_onnx(network, box=box, metadata={"provenance_sha256": "abc"}))
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["feature_names"] == "spot[0],spot[1],spot[2]"
    assert properties["feature_units"] == "currency,currency,currency"
    assert [float(bound) for bound in properties["upper"].split(",")] == box.upper.tolist()
    assert properties["provenance_sha256"] == "abc"
    assert properties["version"] == version("sobolite")
    assert [o.name for o in model.graph.output] == ["value", "delta", "gamma"]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_same_network_same_bytes(network: Network, box: Box) -> None:
    assert to_onnx(network, box=box, metadata={}) == to_onnx(network, box=box, metadata={})


def test_a_file_says_nothing_of_layers_without_activation_that_it_has_not(network: Network, box: Box) -> None:
    model = onnx.load_from_string(to_onnx(network, box=box, metadata={}))
    assert "linear" not in {p.key for p in model.metadata_props}


def test_named_greeks_are_columns_of_delta() -> None:
    pair = ((1.0, 0.4), (0.4, 1.0))
    process = Bachelier(
        volatilities=(0.2, 0.3), correlation=pair, convention="carry", rate=0.03, dividend_yields=(0.01, 0.02)
    )
    features = (
        Feature(name="strike", lower=(0.8,), upper=(1.2,)),
        Feature(name="rate", lower=(-0.02,), upper=(0.08,), unit="per year"),
        Feature(name="spot", lower=(0.7, 0.7), upper=(1.4, 1.4)),
        Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,), unit="1"),
        Feature(name="volatility", lower=(0.1,) * 2, upper=(0.4,) * 2),
        Feature(name="maturity", lower=(0.05,), upper=(2.0,), unit="years"),
    )
    payoff = Call(weights=(0.6, 0.4), strike=1.0)
    problem = PricingProblem(process=process, payoff=payoff, maturity=1.0, features=features)
    network = initialise((2, 3, 1), "softplus", generator=torch.Generator().manual_seed(1))
    session = open_session(to_onnx(network, box=problem.box, metadata={}, reduction=reduce(problem)))
    x = problem.box.from_uniforms(np.random.default_rng(0).random((20, problem.box.dimension)))
    names = [output.name for output in session.get_outputs()]
    assert names == ["value", "delta", "gamma", "strike", "rho", "volatility_scale", "vega", "theta"]
    found = dict(zip(names, session.run(None, {"features": x}), strict=True))
    for greek in greeks(problem.box):
        columns = greek.sign * found["delta"][:, greek.columns]
        np.testing.assert_array_equal(found[greek.name], columns[:, 0] if greek.size == 1 else columns)
    assert found["vega"].shape == (20, 2)
    np.testing.assert_array_equal(found["theta"], -found["delta"][:, -1])
