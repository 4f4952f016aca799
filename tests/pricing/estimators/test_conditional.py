from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import pytest
import QuantLib
import torch
from msgspec.structs import replace
from scipy.special import ndtr
from torch import Tensor

from pricing.case_study import random_market
from pricing.errors import InvalidSpec
from pricing.estimators.conditional import contribution
from pricing.labels import Labels, make_labels
from pricing.references.bachelier_greeks import greeks
from pricing.references.reference import reference
from pricing.specs.choice import choose
from pricing.specs.draws import Draws
from pricing.specs.estimator import Conditional, Pathwise, Smoothed
from pricing.specs.european import BestOf, Call, Digital, Put, Side, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston
from pricing.specs.schedule import Dividend
from tests.pricing import oracle
from tests.pricing.cases import PAIR, PLAIN, STOCHASTIC, SURFACE, alike, problem_of, uncorrelated

BASKET = random_market(4, seed=3)
LONG_SHORT = (1.0, -0.8, 0.6, -0.5)
DATES = (0.25, 0.5, 0.75)
STEP = 1e-5
# Relative bias of the widest kernel that labels are compared with.
KERNEL_BIAS = 0.02
# Every payoff that a formula integrates along a line.
PAYOFFS: dict[str, Payoff] = {
    "call": Call(weights=BASKET.weights, strike=1.0),
    "put": Put(weights=BASKET.weights, strike=1.0),
    "digital": Digital(weights=BASKET.weights, strike=1.0, cash=2.0),
    "long_short": Call(weights=LONG_SHORT, strike=0.2),
    "short": Put(weights=(-0.5, -0.5, 0.0, -0.2), strike=-1.1),
    "digital_long_short": Digital(weights=LONG_SHORT, strike=0.2, side="put"),
    "asian": Asian(weights=BASKET.weights, strike=1.0, dates=DATES),
    "asian_long_short": Asian(weights=LONG_SHORT, strike=0.2, dates=DATES, side="put"),
    "worst_of": WorstOf(initial=(1.0, 1.1, 1.0, 0.9), strike=0.9, side="put"),
    "best_of": BestOf(initial=(1.0, 1.1, 1.0, 0.9), strike=1.1),
}


def four(payoff: Payoff, law: Literal["bachelier", "black_scholes"]) -> PricingProblem:
    """Four assets with carry."""
    carry = {"rate": 0.03, "dividend_yields": (0.0, 0.01, 0.05, 0.02)}
    shared = {"volatilities": BASKET.volatilities, "correlation": BASKET.correlation, **carry}
    process = (
        msgspec.convert({"kind": law, "convention": "carry", **shared}, Bachelier)
        if law == "bachelier"
        else msgspec.convert({"kind": law, **shared}, BlackScholes)
    )
    return problem_of(process, payoff, maturity=1.5, spots=(0.5, 1.5))


def spots4() -> Tensor:
    return 0.8 + 0.4 * torch.rand((6, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def far(labels: Labels, others: Labels, name: str) -> float:
    """Largest distance in standard errors of the difference, beyond the bias that a narrow kernel may have."""
    a, b, ea, eb = (getattr(given, n) for n in (name, f"{name}_error") for given in (labels, others))
    beyond = ((a - b).abs() - KERNEL_BIAS * b.abs().max()).clamp(min=0.0)
    return float((beyond / (ea.square() + eb.square()).sqrt().clamp(min=1e-15)).max())


def test_first_rotated_normal_of_a_basket_is_the_whole_law(seven: PricingProblem, spots: Tensor) -> None:
    """Nothing is left to simulate, so the labels are the closed form with any number of paths."""
    spec = LabelSpec(paths=2, replicates=2, estimator=Conditional(normal="first"))
    labels, exact = make_labels(seven, spots, spec, seed=0), greeks(seven, spots.numpy())
    assert labels.gradient is not None
    assert labels.curvature is not None
    assert labels.directions is not None
    np.testing.assert_allclose(labels.value, exact.value, atol=1e-15)
    np.testing.assert_allclose(labels.gradient, exact.delta, atol=1e-14)
    hv = np.einsum("nij,nkj->nki", exact.gamma, labels.directions.numpy())
    np.testing.assert_allclose(labels.curvature, hv, atol=1e-13)


@pytest.mark.parametrize("normal", ["first", "last"])
def test_unbiased_with_cholesky_order(normal: Literal["first", "last"], long_short: PricingProblem) -> None:
    x = torch.tensor([[100.0, 90.0, 95.0], [110.0, 80.0, 100.0]], dtype=torch.float64)
    spec = LabelSpec(
        paths=2048,
        replicates=16,
        draws=Draws(source="pseudo", rotation="none"),
        estimator=Conditional(normal=normal),
        direction_law="random",
    )
    labels, exact = make_labels(long_short, x, spec, seed=4), greeks(long_short, x.numpy())
    assert labels.directions is not None
    hv = np.einsum("nij,nkj->nki", exact.gamma, labels.directions.numpy())
    for name, truth in (("value", exact.value), ("gradient", exact.delta), ("curvature", hv)):
        label, error = getattr(labels, name).numpy(), getattr(labels, f"{name}_error").numpy()
        assert (np.abs(label - truth) < 4.0 * error).all(), name


@pytest.mark.parametrize("law", ["bachelier", "black_scholes"])
@pytest.mark.parametrize("name", PAYOFFS)
def test_agrees_with_paths_that_integrate_nothing(law: Literal["bachelier", "black_scholes"], name: str) -> None:
    """Values against the raw payoff, deltas and curvature against a kernel narrow enough for its bias not to show."""
    problem, jumps = four(PAYOFFS[name], law), isinstance(PAYOFFS[name], Digital)
    exact = LabelSpec(paths=512, replicates=8, direction_law="random")
    raw = replace(exact, estimator=Pathwise(), order=0 if jumps else 1, paths=1024)
    smooth = replace(exact, estimator=Smoothed(width=0.2 if jumps else 0.1), paths=1024)
    labels = make_labels(problem, spots4(), exact, seed=1)
    others = make_labels(problem, spots4(), raw, seed=2)
    kernels = make_labels(problem, spots4(), smooth, seed=1)
    assert far(labels, others, "value") < 5.0  # the largest of 6
    assert far(labels, kernels if jumps else others, "gradient") < 6.0  # of 24, by 8 replicates
    assert labels.curvature is not None
    assert kernels.curvature is not None
    difference = (labels.curvature - kernels.curvature).norm() / labels.curvature.norm()
    assert float(difference) < (0.3 if jumps else 0.1)


@pytest.mark.parametrize("name", PAYOFFS)
def test_labels_are_derivatives_on_the_same_normals(name: str) -> None:
    problem, x = four(PAYOFFS[name], "black_scholes"), spots4()
    spec = LabelSpec(paths=32, replicates=1, draws=Draws(rotation="none"), direction_law="random")
    labels = make_labels(problem, x, spec, seed=3)
    assert labels.directions is not None
    assert labels.gradient is not None
    assert labels.curvature is not None
    along = labels.directions[:, 0]
    up, down = (make_labels(problem, x + h * along, spec, seed=3) for h in (STEP, -STEP))
    assert up.gradient is not None
    assert down.gradient is not None
    slope, bend = (up.value - down.value) / (2 * STEP), (up.gradient - down.gradient) / (2 * STEP)
    torch.testing.assert_close((labels.gradient * along).sum(1), slope, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(labels.curvature[:, 0], bend, rtol=1e-4, atol=1e-5)


def stulz(spots: Tensor, kind: type[WorstOf | BestOf], side: Side) -> float:
    """Two assets, volatilities 0.2 and 0.3, correlation 0.5, rate 5 %, one year, strike 1, by QuantLib."""
    processes = [
        oracle.black_scholes(spot, rate=0.05, dividend=0.0, volatility=volatility)
        for spot, volatility in zip(spots.tolist(), (0.2, 0.3), strict=True)
    ]
    plain = oracle.payoff(side, 1.0)
    ranked = QuantLib.MinBasketPayoff(plain) if kind is WorstOf else QuantLib.MaxBasketPayoff(plain)
    option = QuantLib.BasketOption(ranked, oracle.exercise())
    option.setPricingEngine(QuantLib.StulzEngine(*processes, 0.5))
    return float(option.NPV())


@pytest.mark.parametrize("kind", [WorstOf, BestOf])
@pytest.mark.parametrize("side", ["call", "put"])
def test_two_ranked_assets_with_cross_gamma(kind: type[WorstOf | BestOf], side: Side) -> None:
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=PAIR, rate=0.05)
    problem = problem_of(process, kind(initial=(1.0, 1.0), strike=1.0, side=side), spots=(0.7, 1.4))
    x = torch.tensor([[1.0, 1.0], [0.9, 1.1]], dtype=torch.float64)
    labels = make_labels(problem, x, LabelSpec(paths=2048, replicates=8, directions=2, direction_law="random"), seed=3)
    assert labels.value_error is not None
    assert labels.directions is not None
    assert labels.curvature is not None
    h, eye = 3e-3, torch.eye(2, dtype=torch.float64)
    for row, spot in enumerate(x):

        def price(move: Tensor, spot: Tensor = spot) -> float:
            return stulz(spot + h * move, kind, side)

        gamma = torch.tensor(
            [[(price(a + b) - price(a - b) - price(b - a) + price(-a - b)) / (4.0 * h * h) for a in eye] for b in eye],
            dtype=torch.float64,
        )
        assert abs(float(labels.value[row]) - price(0.0 * eye[0])) < 4.0 * float(labels.value_error[row]) + 1e-9
        expected = labels.directions[row] @ gamma
        torch.testing.assert_close(labels.curvature[row], expected, rtol=0, atol=0.01 * float(gamma.abs().max()))


def test_alike_assets_keep_the_curvature_of_their_switch() -> None:
    """Independent equal assets: along the first axis all move alike, so that the direction must be another."""
    three = alike(PLAIN, uncorrelated(3))
    problem = problem_of(three, BestOf(initial=(1.0,) * 3, strike=0.5), spots=(0.7, 1.4))
    spec = LabelSpec(paths=1024, replicates=8, direction_law="random", directions=3)
    labels = make_labels(problem, torch.ones(1, 3, dtype=torch.float64), spec, seed=0)
    kernels = make_labels(problem, labels.features, replace(spec, estimator=Smoothed(width=0.05), paths=8192), seed=0)
    assert labels.curvature is not None
    assert kernels.curvature is not None
    assert float((labels.curvature - kernels.curvature).norm() / kernels.curvature.norm()) < 0.03


@pytest.mark.parametrize("rotation", ["none", "gradient_pca"])
def test_every_ranked_asset_keeps_the_curvature_of_its_strike(rotation: Literal["none", "gradient_pca"]) -> None:
    """Of three independent assets the middle one must not stand still along the direction."""
    three = alike(replace(PLAIN, volatilities=(0.25,)), uncorrelated(3))
    problem = problem_of(three, WorstOf(initial=(1.0,) * 3, strike=0.9, side="put"), spots=(0.7, 1.4))
    spec = LabelSpec(paths=2048, direction_law="random", directions=3, draws=Draws(rotation=rotation))
    labels = make_labels(problem, torch.ones(1, 3, dtype=torch.float64), spec, seed=0)
    right = reference(problem, labels.features.numpy()).hessian
    assert labels.curvature is not None
    assert labels.directions is not None
    expected = labels.directions @ torch.from_numpy(right)
    assert float((labels.curvature - expected).norm() / expected.norm()) < 0.01


def test_geometric_average_of_one_asset_is_its_closed_form() -> None:
    """Lognormal: mean and variance of the average of ln S over the dates (Kemna & Vorst 1990), by QuantLib's engine."""
    times = (0.25, 0.5, 0.75, 1.0)
    process = replace(PLAIN, volatilities=(0.3,), rate=0.05)
    payoff = Asian(weights=(1.0,), strike=1.0, dates=times, average="geometric")
    problem = problem_of(process, payoff, spots=(0.5, 1.5))
    x = torch.tensor([[0.9], [1.0], [1.2]], dtype=torch.float64)
    labels = make_labels(problem, x, LabelSpec(paths=2, replicates=2), seed=0)
    mean = np.log(x[:, 0].numpy()) + (0.05 - 0.045) * np.mean(times)
    deviation = 0.3 * np.sqrt(np.mean(np.minimum.outer(times, times)))
    cumulative = QuantLib.CumulativeNormalDistribution()
    d = mean / deviation
    expected = [
        np.exp(-0.05) * (np.exp(m + 0.5 * deviation**2) * cumulative(u + deviation) - cumulative(u))
        for m, u in zip(mean, d, strict=True)
    ]
    np.testing.assert_allclose(labels.value, expected, rtol=1e-12)


def test_heston_basket_with_slopes_of_both_signs() -> None:
    """Given the variances the basket is a sum of exponentials whose slopes change from path to path."""
    process = Heston(
        initial_variances=(0.04, 0.09),
        mean_reversions=(1.5, 1.0),
        long_variances=(0.04, 0.09),
        variance_volatilities=(0.5, 0.8),
        spot_variance_correlations=(-0.7, -0.5),
        correlation=((1.0, -0.6), (-0.6, 1.0)),
        steps=4,
    )
    problem = problem_of(process, Put(weights=(0.5, 0.5), strike=1.0), spots=(0.5, 1.5))
    x = torch.tensor([[1.0, 1.0], [0.8, 1.1]], dtype=torch.float64)
    spec = LabelSpec(paths=1024, replicates=8)
    labels = make_labels(problem, x, spec, seed=0)
    others = make_labels(problem, x, replace(spec, estimator=Pathwise(), order=1), seed=5)
    assert far(labels, others, "value") < 5.0
    assert far(labels, others, "gradient") < 5.0


def test_integration_lowers_the_variance(seven: PricingProblem, spots: Tensor) -> None:
    """Rao-Blackwell: a conditional expectation on the same normals varies less, at every sample."""
    draws = Draws(source="pseudo", rotation="none")
    pathwise = LabelSpec(paths=256, replicates=64, draws=draws, estimator=Pathwise(), order=1)
    integrated = replace(pathwise, estimator=Conditional(normal="first"))
    raw, smooth = (make_labels(seven, spots, spec, seed=1) for spec in (pathwise, integrated))
    assert raw.value_error is not None
    assert smooth.value_error is not None
    assert raw.gradient_error is not None
    assert smooth.gradient_error is not None
    assert (smooth.value_error < raw.value_error).all()
    assert (smooth.gradient_error < raw.gradient_error).all()


def test_a_normal_that_moves_nothing_is_refused(seven: PricingProblem, spots: Tensor) -> None:
    spec = LabelSpec(estimator=Conditional(normal="last"), paths=4)
    with pytest.raises(InvalidSpec, match=r"carries .* which smooths nothing; use normal = 'first'"):
        make_labels(seven, spots, spec, seed=0)


def test_the_first_cholesky_normal_may_move_nothing_too() -> None:
    """A spread with w . L[:, 0] = 0 would keep its kink."""
    process = Bachelier(volatilities=(0.1, 0.2), correlation=PAIR)
    problem = problem_of(process, Call(weights=(1.0, -1.0), strike=0.0), spots=(0.5, 1.5))
    spec, x = LabelSpec(paths=4, draws=Draws(rotation="none")), torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(InvalidSpec, match="carries 0 of a standard deviation"):
        make_labels(problem, x, spec, seed=0)
    make_labels(problem, x, LabelSpec(paths=4), seed=0)


@pytest.mark.parametrize("name", PAYOFFS)
@pytest.mark.parametrize("law", ["bachelier", "black_scholes"])
def test_no_time_left_is_the_payoff(name: str, law: Literal["bachelier", "black_scholes"]) -> None:
    problem = replace(four(PAYOFFS[name], law), maturity=0.0)
    raw = LabelSpec(paths=2, replicates=1, estimator=Pathwise(), order=0)
    labels = make_labels(problem, spots4(), LabelSpec(paths=2, replicates=1), seed=0)
    np.testing.assert_allclose(labels.value, make_labels(problem, spots4(), raw, seed=0).value, atol=1e-14)


@pytest.mark.parametrize("name", PAYOFFS)
def test_no_spot_and_no_volatility_are_finite(name: str) -> None:
    problem = four(PAYOFFS[name], "black_scholes")
    still = replace(problem.process, volatilities=(0.2, 0.0, 0.3, 0.0))
    x = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    make_labels(replace(problem, process=still), x, LabelSpec(paths=8, replicates=1), seed=0)


def one(payoff: Payoff, *dividends: Dividend) -> PricingProblem:
    """One asset, with dividends."""
    process = replace(PLAIN, volatilities=(0.3,), rate=0.03, dividends=dividends)
    return problem_of(process, payoff, spots=(0.0, 1.5))


@pytest.mark.parametrize("amount", [0.1, 0.6])
def test_cash_dividends_leave_the_last_step(amount: float) -> None:
    """The larger one takes some paths to 0, from where nothing moves."""
    problem = one(Call(weights=(1.0,), strike=0.6), Dividend(time=0.5, amount=amount))
    x, spec = torch.tensor([[0.5], [0.9], [1.2]], dtype=torch.float64), LabelSpec(paths=512, replicates=16, order=1)
    labels = make_labels(problem, x, spec, seed=0)
    others = make_labels(problem, x, replace(spec, estimator=Pathwise(), order=1, paths=2048), seed=1)
    assert far(labels, others, "value") < 5.0
    assert far(labels, others, "gradient") < 5.0


@pytest.mark.parametrize("payoff", [Call(weights=(0.5, 0.5), strike=1.0), WorstOf(initial=(1.0, 1.0), strike=1.0)])
def test_a_dividend_in_cash_that_leaves_one_asset_nothing(payoff: Call | WorstOf) -> None:
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=PAIR, dividends=(Dividend(time=0.5, amount=0.5),))
    problem = problem_of(process, payoff, spots=(0.0, 2.0))
    x = torch.tensor([[0.0, 2.0], [1e-8, 2.0]], dtype=torch.float64)
    labels = make_labels(problem, x, LabelSpec(paths=1024, replicates=2, draws=Draws(pilot=16), order=1), seed=0)
    assert labels.gradient is not None
    worth = 0.0 if isinstance(payoff, WorstOf) else 2.0 * ndtr(0.15) - 1.0
    torch.testing.assert_close(labels.value, torch.full((2,), worth, dtype=torch.float64), rtol=2e-3, atol=1e-12)
    assert torch.isfinite(labels.gradient).all()


def test_where_nothing_moves_the_event_in_the_last_step_no_curvature_is_made_up() -> None:
    """Without a normal that smooths the kink the curvature would be 0, or what else moves, whatever the truth."""
    local, certain = SURFACE, replace(STOCHASTIC, spot_variance_correlations=(-1.0,))
    call, early = Call(weights=(1.0,), strike=1.0), Asian(weights=(1.0,), strike=1.0, dates=(0.25, 0.5))
    cases = {
        "after the average": [
            one(early, Dividend(time=0.3, amount=0.1)),
            replace(one(early), process=local),
        ],
        "no step left": [one(call, Dividend(time=1.0, amount=0.1))],
        "no normal of its own": [replace(one(call), process=certain)],
    }
    for match, problems in cases.items():
        for problem in problems:
            with pytest.raises(InvalidSpec, match=match):
                contribution(problem, Conditional())
            assert isinstance(choose(problem), Smoothed)


def test_what_no_formula_integrates_is_refused() -> None:
    barrier = one(Barrier(strike=1.0, barrier=0.8, direction="down", knock="out"))
    with pytest.raises(InvalidSpec, match="terminal or average level"):
        contribution(barrier, Conditional())
