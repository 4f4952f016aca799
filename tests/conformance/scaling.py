"""What exact scaling and the exported graph owe a product: the direct value, and every Greek by its name and sign.

Every function takes a problem and raises AssertionError with a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.labels import make_labels
from pricing.references.methods import RELATIVE_ERRORS, Differentiated, Solved
from pricing.references.reference import method, reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Bridge, Estimator, Pathwise, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.parameters import PARAMETERS
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise
from surrogate.greeks import greeks
from surrogate.reductions.choice import reason, reduce
from surrogate.reductions.expressions import evaluate
from surrogate.reductions.reduction import Reduction, to_canonical
from surrogate.standardisation import Standardisation, to_raw
from tests.conformance.estimates import QUICK, place, scales

# Formulas, and simulations on the same normals, differ by rounding, which exponents and quotients multiply.
EXACT = 1e-7
# Kernels are held constant in derivatives, though they scale; a bridge under stochastic variance holds less.
KERNEL, BRIDGE = 0.02, 1e-3
# An exercise rule is fitted in other units; in the plane nothing is fitted, but grids differ.
RULE, PLANE = 0.1, 1e-3
PATHS = 64
# Differences of the graph: their step in moves of `scales`, and the share of the largest Greek that they may miss.
STEP, DIFFERENCED = 1e-5, 1e-6


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How a problem and its canonical one are valued alike: by the reference, or by an estimator on the same normals.

    Args:
        value, gradient: shares by which the two may differ.
    """

    order: Literal[0, 1]
    estimator: Estimator | None = None
    value: float = EXACT
    gradient: float = EXACT


def check_reduction(asked: PricingProblem) -> None:
    """The canonical problem through the formula is the problem itself, with every Greek, or there are words why not."""
    reduction, how = reduce(asked), judged(asked)
    if reduction is None:
        assert len((reason(asked) or "").split()) > 2, "no reduction and no reason in words"
        return
    x = place(asked).requires_grad_()
    value, gradient = valued(asked, x.detach(), how)
    u = to_canonical(reduction, x)
    inner, slope = valued(reduction.canonical, u.detach(), how)
    (outer,), (local,) = evaluate([reduction.amplitude], x), evaluate([reduction.local_amplitude], u)
    through = (outer / local)[:, 0] * (inner + ((u - u.detach()) * slope).sum(dim=1))
    (chained,) = torch.autograd.grad(through.sum(), x)
    got, right = through.detach().item(), value.item()
    assert abs(got - right) <= how.value * abs(right), f"scaled: the value is {got:.9g} and should be {right:.9g}"
    if how.order == 0:
        return
    moves = scales(asked)
    missed = (chained - gradient)[0].abs() * moves
    for name, columns in named_columns(asked):
        assert missed[columns].max() <= how.gradient * (gradient[0] * moves).norm(), (
            f"scaled: {name} is {chained[0, columns].tolist()} and should be {gradient[0, columns].tolist()}"
        )


def named_columns(asked: PricingProblem) -> list[tuple[str, slice]]:
    """Delta and every named Greek with its columns of the features."""
    return [("delta", asked.box.columns("spot")), *((greek.name, greek.columns) for greek in greeks(asked.box))]


def judged(asked: PricingProblem) -> Judged:
    """By a formula where there is one; else path by path, which scaling leaves alone but for an exercise rule."""
    facts, known = asked.payoff.facts, method(asked)
    if isinstance(known, Differentiated | Solved):
        exact = known.relative_error <= RELATIVE_ERRORS["quadrature"]
        return Judged(order=1) if exact else Judged(order=0, value=PLANE)
    if facts.decided == "holder":
        return Judged(order=0, estimator=replace(QUICK, paths=1 << 12), value=RULE)
    if facts.decided == "always":
        return Judged(order=1, estimator=Bridge(), gradient=BRIDGE)
    return (
        Judged(order=1, estimator=Smoothed(), gradient=KERNEL) if facts.jumps else Judged(order=1, estimator=Pathwise())
    )


def valued(asked: PricingProblem, x: Tensor, how: Judged) -> tuple[Tensor, Tensor]:
    """Value and gradient, zeros at order 0. Shape: 1 feature -> 1; 1 feature."""
    if how.estimator is None:
        exact = reference(asked, x.numpy(), order=how.order)
        return torch.from_numpy(exact.value), torch.from_numpy(exact.gradient)
    draws = Draws(rotation="none")
    spec = LabelSpec(paths=PATHS, replicates=1, order=how.order, draws=draws, estimator=how.estimator)
    made = make_labels(asked, x, spec, seed=0)
    return made.value, torch.zeros_like(x) if made.gradient is None else made.gradient


def network_for(asked: PricingProblem, reduction: Reduction | None) -> Network:
    """A random network that bends over the Box of its inputs."""
    box = asked.box if reduction is None else reduction.box
    lower, upper = torch.from_numpy(box.lower), torch.from_numpy(box.upper)
    random = initialise((box.dimension, 6, 1), "tanh", generator=torch.Generator().manual_seed(5))
    one = torch.ones((), dtype=torch.float64)
    return to_raw(
        random,
        Standardisation(x_mean=0.5 * (lower + upper), x_scale=0.5 * (upper - lower), y_mean=one, y_scale=one),
    )


def check_greeks(asked: PricingProblem, *, reduction: Reduction | None) -> None:
    """Every output of the graph is its sign in the table times the central difference of the graph's value."""
    model = to_onnx(network_for(asked, reduction), box=asked.box, metadata={}, reduction=reduction)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def output(name: str, rows: Array) -> Array:
        answered: Array = session.run([name], {"features": rows})[0]
        return answered

    x, moves = place(asked).numpy(), scales(asked).numpy()
    step = STEP * np.diag(moves)
    differences = (output("value", x + step) - output("value", x - step)) / (2.0 * STEP * moves)
    signs = {parameter.greek: parameter.sign for parameter in PARAMETERS.values()}
    varying = {PARAMETERS[feature.name].greek for feature in asked.features if feature.name != "spot"}
    assert {name for name, _ in named_columns(asked)} == {"delta", *varying}, "a feature without its Greek"
    for name, columns in named_columns(asked):
        columns = slice(None) if name == "delta" else columns
        expected = signs.get(name, 1.0) * differences[columns]
        missed = (output(name, x)[0] - expected) * moves[columns]
        assert np.abs(missed).max() <= DIFFERENCED * np.abs(differences * moves).max(), (
            f"{name} of the graph is {output(name, x)[0]}, differences say {expected}"
        )
