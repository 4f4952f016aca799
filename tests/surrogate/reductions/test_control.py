"""A closed form near the value: what it is, that labels lose it and graphs add it, and that it never ends in a NaN."""

from __future__ import annotations

from dataclasses import replace as replace_reduction

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from scipy.stats import norm

from pricing.domain import Feature
from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.specs.european import BestOf, Call, Digital, Put
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, Process
from pricing.specs.schedule import Dividend
from surrogate.dataset import Dataset, from_labels
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import value_gradient_hessian
from surrogate.reductions.choice import no_control, reason, reduce
from surrogate.reductions.expressions import constant, evaluate, feature, normal
from surrogate.reductions.reduction import Reduction, derivatives, to_canonical, to_network, without
from surrogate.runtime import open_session
from tests.conformance.scaling import check_greeks, network_for

RHO = ((1.0, 0.5, 0.2), (0.5, 1.0, -0.3), (0.2, -0.3, 1.0))
BLACK_SCHOLES = BlackScholes(
    volatilities=(0.3, 0.2, 0.4), correlation=RHO, rate=0.03, dividend_yields=(0.0, 0.02, 0.01)
)
HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.5,),
    long_variances=(0.05,),
    variance_volatilities=(0.4,),
    spot_variance_correlations=(-0.7,),
    rate=0.02,
    correlation=((1.0,),),
)
CALL = Call(weights=(0.5, 0.3, 0.2), strike=100.0)
SPOT = Feature(name="spot", lower=(70.0,) * 3, upper=(130.0,) * 3)
ONE = Feature(name="spot", lower=(70.0,), upper=(130.0,))
MATURITY = Feature(name="maturity", lower=(0.25,), upper=(2.0,))
VOLATILITY = Feature(name="volatility", lower=(0.1,) * 3, upper=(0.5,) * 3)
RATE = Feature(name="rate", lower=(0.0,), upper=(0.06,))
STRIKE = Feature(name="strike", lower=(80.0,), upper=(120.0,))
CORRELATION = Feature(name="correlation", lower=(0.1,), upper=(0.9,))


def make(process: Process, payoff: Payoff, *features: Feature, maturity: float = 1.5) -> PricingProblem:
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=features)


CASES = {
    "call": make(BLACK_SCHOLES, CALL, SPOT),
    "put": make(BLACK_SCHOLES, Put(weights=CALL.weights, strike=100.0), SPOT, STRIKE, RATE, MATURITY),
    "digital": make(BLACK_SCHOLES, Digital(weights=CALL.weights, strike=100.0, cash=7.0), SPOT, STRIKE, MATURITY),
    "volatilities": make(BLACK_SCHOLES, CALL, SPOT, VOLATILITY, MATURITY),
    "correlation": make(BLACK_SCHOLES, CALL, SPOT, CORRELATION),
    "heston": make(HESTON, replace(CALL, weights=(1.0,)), ONE, replace(MATURITY, lower=(0.5,))),
    "heston scaled": make(
        HESTON,
        replace(CALL, weights=(1.0,)),
        ONE,
        Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,)),
    ),
    "heston's spot": make(HESTON, replace(CALL, weights=(1.0,)), ONE),
}
# Mean square distance of the formula from the value and from the delta, as shares of their variances.
NEAR = {"heston": (1e-2, 6e-2), "heston scaled": (1e-2, 6e-2), "heston's spot": (1e-2, 6e-2), "digital": (5e-3, 5e-2)}


def found(problem: PricingProblem) -> Reduction:
    reduction = reduce(problem)
    assert reduction is not None
    assert reduction.control is not None
    assert reduction.local_control is not None
    return reduction


def drawn(problem: PricingProblem, count: int = 200) -> torch.Tensor:
    uniforms = np.random.default_rng(3).random((count, problem.box.dimension))
    return torch.from_numpy(problem.box.from_uniforms(uniforms))


def formula(problem: PricingProblem, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """C and its gradient. Shape: batch feature -> batch; batch feature."""
    control = found(problem).control
    assert control is not None
    x = x.clone().requires_grad_()
    value = evaluate([control], x)[0][:, 0]
    return value.detach(), torch.autograd.grad(value.sum(), x)[0]


def test_it_is_black_with_the_moments_of_the_basket() -> None:
    problem, x = CASES["call"], drawn(CASES["call"])
    yields = np.array([0.0, 0.02, 0.01])
    parts = x.numpy() * np.array(CALL.weights) * np.exp((0.03 - yields) * 1.5)
    sigma = np.array(BLACK_SCHOLES.volatilities)
    second = np.einsum("ni,ij,nj->n", parts, np.exp(np.array(RHO) * np.outer(sigma, sigma) * 1.5), parts)
    forward = parts.sum(axis=1)
    s = np.sqrt(np.log(second / forward**2))
    ahead = np.log(forward / 100.0) / s + s / 2.0
    black = np.exp(-0.03 * 1.5) * (forward * norm.cdf(ahead) - 100.0 * norm.cdf(ahead - s))
    np.testing.assert_allclose(formula(problem, x)[0].numpy(), black, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_it_is_near_the_value_and_the_delta(name: str) -> None:
    problem, x = CASES[name], drawn(CASES[name], 64)
    exact, (value, slope) = reference(problem, x.numpy(), seed=0, order=1), formula(CASES[name], x)
    spots = problem.box.columns("spot")
    shares = [
        float(((mine - theirs) ** 2).mean() / theirs.var(axis=0).mean())
        for mine, theirs in (
            (value.numpy(), exact.value),
            (slope.numpy()[:, spots], exact.gradient[:, spots]),
        )
    ]
    assert all(share < most for share, most in zip(shares, NEAR.get(name, (2e-3, 5e-3)), strict=True)), shares


@pytest.mark.parametrize("name", CASES)
def test_the_canonical_problem_has_the_same(name: str) -> None:
    problem, x = CASES[name], drawn(CASES[name])
    reduction = found(problem)
    assert reduction.local_control is not None
    u = to_canonical(reduction, x)
    (outer,), (local,) = evaluate([reduction.amplitude], x), evaluate([reduction.local_amplitude], u)
    through = (outer / local * evaluate([reduction.local_control], u)[0])[:, 0]
    torch.testing.assert_close(through, formula(problem, x)[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_the_graph_adds_it_to_the_network_with_every_greek(name: str) -> None:
    problem, reduction = CASES[name], found(CASES[name])
    network, x = network_for(problem, reduction), drawn(CASES[name], 50)
    session = open_session(to_onnx(network, box=problem.box, metadata={}, reduction=reduction), threads=1)
    answers = session.run(["value", "delta", "gamma"], {"features": x.numpy()})
    for answer, mine in zip(answers, derivatives(reduction, network, x), strict=True):
        np.testing.assert_allclose(answer, mine.numpy(), rtol=1e-8, atol=1e-9 * np.abs(answer).max())
    check_greeks(problem, reduction=reduction)


@pytest.mark.parametrize("name", ["call", "put", "volatilities"])
def test_labels_lose_it_with_their_derivatives(name: str) -> None:
    """Labels of the value through the formula are labels of the network that is in it."""
    reduction = found(CASES[name])
    canonical = reduction.canonical
    own = replace_reduction(
        reduction,
        problem=canonical,
        amplitude=reduction.local_amplitude,
        inputs=reduction.local_inputs,
        control=reduction.local_control,
        distance=None,
    )
    network, u = network_for(CASES[name], reduction), drawn(canonical, 20)
    value, gradient, hessian = derivatives(own, network, u)
    directions = torch.randn(20, 2, u.shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    curvature = torch.einsum("nij,nkj->nki", hessian, directions)
    rows = to_network(own, Dataset(x=u, y=value, gradient=gradient, directions=directions, curvature=curvature))
    y, slope, bend = value_gradient_hessian(network, rows.x)
    scale = float(value.abs().max())
    assert rows.gradient is not None
    assert rows.curvature is not None
    assert rows.directions is not None
    torch.testing.assert_close(rows.y, y, rtol=1e-9, atol=1e-10 * scale)
    torch.testing.assert_close(rows.gradient, slope, rtol=1e-8, atol=1e-9 * scale)
    along = torch.einsum("nij,nkj->nki", bend, rows.directions)
    torch.testing.assert_close(rows.curvature, along, rtol=1e-7, atol=1e-8 * scale)


def test_simulated_labels_less_the_formula_are_small() -> None:
    problem, reduction = CASES["call"], found(CASES["call"])
    labels = make_labels(problem, drawn(problem, 32), LabelSpec(samples=32, paths=2048, order=1), seed=0)
    data = from_labels(labels)
    rest = to_network(reduction, data)
    assert data.gradient is not None
    assert rest.gradient is not None
    assert float(rest.y.abs().max()) < 0.02 * float(data.y.abs().max())
    assert float(rest.gradient.abs().max()) < 0.1 * float(data.gradient.abs().max())


def test_only_what_labels_have_is_taken_off() -> None:
    control = found(CASES["call"]).control
    assert control is not None
    x = drawn(CASES["call"], 4)
    rest = without(control, Dataset(x=x, y=torch.zeros(4, dtype=torch.float64)))
    assert (rest.gradient, rest.curvature) == (None, None)
    torch.testing.assert_close(-rest.y, formula(CASES["call"], x)[0])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("moved", [-1.0, 0.0, 1e-9, 50.0, 1e6])
def test_of_spots_far_outside_the_box_nothing_is_nan(name: str, moved: float) -> None:
    problem, reduction = CASES[name], found(CASES[name])
    x = drawn(problem, 5).numpy()
    x[:, problem.box.columns("spot")] *= moved
    session = open_session(
        to_onnx(network_for(problem, reduction), box=problem.box, metadata={}, reduction=reduction), threads=1
    )
    value, delta = session.run(["value", "delta"], {"features": x})
    assert np.isfinite(value).all()
    assert np.isfinite(delta).all()


def test_the_graphs_distribution_function_is_exact_to_rounding() -> None:
    problem = CASES["heston's spot"]
    alone = replace_reduction(found(problem), amplitude=constant(0.0), control=normal(feature(0, 1)))
    model = to_onnx(network_for(problem, None), box=problem.box, metadata={}, reduction=alone)
    x = np.linspace(-12.0, 12.0, 97)
    value, delta, gamma = open_session(model, threads=1).run(["value", "delta", "gamma"], {"features": x[:, None]})
    np.testing.assert_allclose(value, norm.cdf(x), rtol=0.0, atol=2e-15)
    np.testing.assert_allclose(delta[:, 0], norm.pdf(x), rtol=1e-14)
    np.testing.assert_allclose(gamma[:, 0, 0], -x * norm.pdf(x), rtol=1e-13)


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (make(replace(BLACK_SCHOLES, dividends=(Dividend(time=0.5, proportion=0.1),)), CALL, SPOT), "dividends"),
        (make(replace(BLACK_SCHOLES, volatilities=(0.0, 0.2, 0.3)), CALL, SPOT), "the variance to the maturity"),
        (make(BLACK_SCHOLES, replace(CALL, weights=(0.5, 0.5, 0.0)), SPOT), "not all weights are above 0"),
        (make(BLACK_SCHOLES, CALL, replace(SPOT, lower=(0.0, 70.0, 70.0))), "spot goes down to 0 in the Box"),
        (make(BLACK_SCHOLES, CALL, SPOT, replace(STRIKE, lower=(-5.0,))), "strike goes down to -5 in the Box"),
        (make(BLACK_SCHOLES, CALL, SPOT, replace(MATURITY, lower=(0.0,))), "maturity goes down to 0 in the Box"),
        (make(BLACK_SCHOLES, BestOf(initial=(1.0, 1.0, 1.0), strike=100.0), SPOT), None),
        (CASES["call"], None),
    ],
)
def test_why_there_is_none_of_a_product_that_could_have_one(problem: PricingProblem, why: str | None) -> None:
    said = no_control(problem)
    assert said is None if why is None else why in str(said)


@pytest.mark.parametrize(
    "problem",
    [
        make(
            BlackScholes(volatilities=(0.2,), correlation=((1.0,),)), Call(weights=(1.0,), strike=100.0), ONE, MATURITY
        ),
        make(BLACK_SCHOLES, Call(weights=(1.0, -0.5, 0.2), strike=10.0), SPOT),
        make(BLACK_SCHOLES, BestOf(initial=(1.0, 1.0, 1.0), strike=100.0), SPOT),
        make(replace(BLACK_SCHOLES, dividends=(Dividend(time=0.5, amount=1.0),)), CALL, SPOT),
        make(replace(BLACK_SCHOLES, volatilities=(0.0, 0.2, 0.3)), CALL, SPOT),
    ],
    ids=["one lognormal", "a spread", "best of", "dividends", "an asset that stands still"],
)
def test_where_nothing_is_near_everything_is_as_it_was(problem: PricingProblem) -> None:
    reduction, plain = reduce(problem), reduce(problem, controlled=False)
    assert (reduction is None) == (plain is None)
    assert reduction is None or (reduction.control is None and plain is not None and reduction.kind == plain.kind)


def test_it_can_be_left_out() -> None:
    assert reduce(CASES["call"], controlled=False) is None
    scaled = reduce(CASES["put"], controlled=False)
    assert scaled is not None
    assert (scaled.control, scaled.local_control) == (None, None)
    assert "C" not in scaled.kind
    assert found(CASES["put"]).kind.startswith("V = C + ")
    assert reason(CASES["call"]) == "nothing that varies scales"
