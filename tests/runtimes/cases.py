"""Graphs of every kind that is exported, by name; small, and none of a published model."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pricing.domain import Box, Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from surrogate.export.flow_graph import flow_to_onnx
from surrogate.export.onnx_writer import to_onnx
from surrogate.flows.flow import start_flow
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise
from surrogate.functions.polynomial import PolynomialSurrogate
from surrogate.reductions.choice import reduce

ACTIVATIONS: tuple[ActivationName, ...] = ("silu", "softplus", "tanh")
# One layer, one neuron, the first layer narrower and wider than the features, deep, a layer of one neuron inside.
WIDTHS = ((7, 4, 1), (3, 1, 1), (2, 1, 1, 1), (7, 32, 32, 1), (40, 8, 8, 1), (1, 8, 8, 8, 1), (5, 6, 1, 6, 1))
SPOT = Feature(name="spot", lower=(0.7,), upper=(1.4,))
PROBLEM = PricingProblem(
    process=BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.03),
    payoff=Call(weights=(1.0,), strike=1.0),
    maturity=1.0,
    features=(SPOT, Feature(name="maturity", lower=(0.05,), upper=(2.0,), unit="years")),
)


def cube(features: int) -> Box:
    """So many spots from 0.3 to 1.7."""
    return Box(features=(Feature(name="spot", lower=(0.3,) * features, upper=(1.7,) * features),))


def graphs() -> Iterator[tuple[str, bytes]]:
    """All of them."""
    generator = torch.Generator().manual_seed(0)
    for activation in ACTIVATIONS:
        for widths in WIDTHS:
            network = initialise(widths, activation, generator=generator)
            name = f"{activation}_{'-'.join(map(str, widths))}"
            yield name, to_onnx(network, box=cube(widths[0]), metadata={})
            yield f"{name}_float32", to_onnx(network, box=cube(widths[0]), metadata={}, dtype=torch.float32)
        # The flow is of doubles alone, and so are its two graphs.
        states = torch.rand(50, 3, generator=generator, dtype=torch.float64)
        flow = start_flow(states, (5, 4), activation, steps=2, generator=generator)
        yield from ((f"{activation}_flow_{part}", model) for part, model in flow_to_onnx(flow).items())
    masked = initialise((4, 6, 6, 1), "silu", generator=generator)
    pruned = tuple(w * (torch.rand(w.shape, generator=generator) < 0.5) for w in masked.weights)
    thinned = Network(weights=pruned, biases=masked.biases, activation="silu", linear=frozenset({1}))
    yield "masked_linear", to_onnx(thinned, box=cube(4), metadata={})
    reduction = reduce(PROBLEM)
    assert reduction is not None
    inner = initialise((reduction.box.dimension, 3, 3, 1), "silu", generator=generator)
    yield "scaled", to_onnx(inner, box=PROBLEM.box, metadata={}, reduction=reduction)
    matrix = torch.randn(4, 2, generator=generator, dtype=torch.float64) / 4.0
    terms = PolynomialSurrogate(
        matrix=matrix, offset=-matrix.sum(dim=0), degree=3, coefficients=torch.zeros(0, dtype=torch.float64)
    ).inner.basis.exponents
    yield (
        "polynomial",
        to_onnx(
            PolynomialSurrogate(
                matrix=matrix,
                offset=-matrix.sum(dim=0),
                degree=3,
                coefficients=torch.randn(len(terms), generator=generator, dtype=torch.float64),
            ),
            box=cube(4),
            metadata={},
        ),
    )
