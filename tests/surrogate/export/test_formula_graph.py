"""The exported chain rule against automatic differentiation of the same formulas."""

from __future__ import annotations

import onnx
import pytest
import torch
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.specs.european import Call, Digital
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from surrogate.export.onnx_reader import read_network
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.network import flatten, initialise
from surrogate.reductions.choice import reduce

PAIR = ((1.0, 0.4), (0.4, 1.0))
SPOT = Feature(name="spot", lower=(0.7, 0.7), upper=(1.4, 1.4))
STRIKE = Feature(name="strike", lower=(0.8,), upper=(1.2,))
SCALE = Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,), unit="1")
MATURITY = Feature(name="maturity", lower=(0.05,), upper=(2.0,), unit="years")
RATE = Feature(name="rate", lower=(-0.02,), upper=(0.08,), unit="per year")
VOLATILITY = Feature(name="volatility", lower=(0.1,) * 2, upper=(0.4,) * 2)
CALL = Call(weights=(0.6, 0.4), strike=1.0)
FORWARD = Bachelier(volatilities=(0.2, 0.3), correlation=PAIR)
CARRY = replace(FORWARD, convention="carry", rate=0.03, dividend_yields=(0.01, 0.02))
ONE = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.03)
PROBLEMS = {
    "bachelier": PricingProblem(process=FORWARD, payoff=CALL, maturity=1.0, features=(SPOT, STRIKE, SCALE, MATURITY)),
    "levels alone": PricingProblem(process=FORWARD, payoff=CALL, maturity=1.0, features=(SPOT, STRIKE)),
    "carry": PricingProblem(
        process=CARRY, payoff=CALL, maturity=1.0, features=(STRIKE, RATE, SPOT, SCALE, VOLATILITY, MATURITY)
    ),
    "digital": PricingProblem(
        process=FORWARD, payoff=Digital(weights=(0.6, 0.4), strike=1.0), maturity=1.0, features=(SPOT, MATURITY)
    ),
    "single": PricingProblem(
        process=replace(FORWARD, volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Call(weights=(1.0,), strike=1.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.7,), upper=(1.4,)), MATURITY),
    ),
    "black scholes": PricingProblem(
        process=ONE,
        payoff=Call(weights=(1.0,), strike=1.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.7,), upper=(1.4,)), STRIKE, SCALE, MATURITY, RATE),
    ),
}


@pytest.mark.parametrize("hidden", [(3, 3), (4,), (1, 1)])
@pytest.mark.parametrize("name", PROBLEMS)
def test_chain_rule_and_autograd_agree(name: str, hidden: tuple[int, ...]) -> None:
    problem = PROBLEMS[name]
    reduction = reduce(problem)
    assert reduction is not None
    widths = (reduction.box.dimension, *hidden, 1)
    network = initialise(widths, "silu", generator=torch.Generator().manual_seed(1))
    model = to_onnx(network, box=problem.box, metadata={}, reduction=reduction)
    check_parity(model, network, problem.box, reduction=reduction)
    assert torch.equal(flatten(read_network(model)), flatten(network))
    graph = onnx.load_from_string(model)
    assert {node.domain for node in graph.graph.node} == {""}
    assert {p.key: p.value for p in graph.metadata_props}["reduction"] == reduction.kind


def test_single_precision_has_its_own_bound() -> None:
    problem = PROBLEMS["bachelier"]
    reduction = reduce(problem)
    network = initialise((2, 3, 1), "silu", generator=torch.Generator().manual_seed(1))
    model = to_onnx(network, box=problem.box, metadata={}, reduction=reduction, dtype=torch.float32)
    assert check_parity(model, network, problem.box, reduction=reduction)["delta"] > 1e-12
