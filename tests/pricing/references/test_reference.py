from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import InvalidSpec, NonFiniteLabels
from pricing.references.methods import Known
from pricing.references.reference import affordable, kind, method, reference
from pricing.specs.base import load
from pricing.specs.european import BestOf, Call
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process
from pricing.specs.schedule import Dividend

Build = Callable[..., PricingProblem]
PLAIN = BlackScholes(volatilities=(0.3,), correlation=((1.0,),))
THREE = BlackScholes(volatilities=(0.3,) * 3, correlation=((1.0, 0.1, 0.1), (0.1, 1.0, 0.1), (0.1, 0.1, 1.0)))
STOCHASTIC = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.0,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.5,),
    correlation=((1.0,),),
)
LOCAL = LocalVolatility(
    volatilities=(0.3,),
    skews=(0.0,),
    curvatures=(0.5,),
    powers=(0.4,),
    reference_spots=(100.0,),
    correlation=((1.0,),),
)
PAYING = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), dividends=(Dividend(time=0.5, amount=2.0),))
TWO = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.3), (0.3, 1.0)))
BACHELIER = Bachelier(volatilities=(20.0, 30.0), correlation=((1.0, 0.3), (0.3, 1.0)))
RANKED = BestOf(initial=(100.0,) * 2, strike=1.0)
CALL = Call(weights=(1.0,), strike=100.0)
OTHER = "resimulated (same simulator, other estimator, seed and steps)"
OWN = "resimulated (same simulator and estimator, other seed and steps)"
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))


@pytest.mark.parametrize(
    ("process", "payoff", "expected"),
    [
        (PLAIN, CALL, "closed form"),
        (PLAIN, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in"), "closed form"),
        (PLAIN, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in", dates=(0.5,)), "quadrature"),
        (PLAIN, Bermudan(option=CALL, dates=(0.5, 1.0)), "quadrature"),
        (PLAIN, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0)), "replicates"),
        (THREE, BestOf(initial=(100.0,) * 3, strike=1.0), "replicates"),
        (PAYING, CALL, "quadrature"),
        (PAYING, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0)), OTHER),
        (THREE, Asian(weights=(1.0,) * 3, strike=300.0, dates=(0.5, 1.0), average="geometric"), OTHER),
        (STOCHASTIC, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in"), OWN),
        (STOCHASTIC, Bermudan(option=CALL, dates=(0.5, 1.0)), OWN),
        (TWO, Bermudan(option=RANKED, dates=(0.5, 1.0)), "plane quadrature"),
        (TWO, Bermudan(option=RANKED, dates=(0.999, 1.0)), "lower bound and dual"),
        (BACHELIER, Bermudan(option=RANKED, dates=(0.5, 1.0)), OWN),
        (LOCAL, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0)), OTHER),
        (STOCHASTIC, CALL, "fourier"),
        (LOCAL, CALL, "pde"),
    ],
)
def test_the_kind_is_known_beforehand(problem: Build, process: Process, payoff: Payoff, expected: str) -> None:
    assert kind(problem(process, payoff, 1.0)) == expected


@pytest.mark.parametrize(
    ("process", "payoff", "others", "expected"),
    [
        (PLAIN, CALL, {"rate": (0.0, 0.1)}, "all"),
        (THREE, Bermudan(option=BestOf(initial=(100.0,) * 3, strike=1.0), dates=(0.5, 1.0)), {}, "all"),
        (THREE, Bermudan(option=BestOf(initial=(100.0,) * 3, strike=1.0), dates=(0.5, 1.0)), {"rate": (0, 1)}, "spots"),
        (STOCHASTIC, Bermudan(option=CALL, dates=(0.5, 1.0)), {"rate": (0.0, 0.1)}, "all"),
        (STOCHASTIC, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in"), {}, "nothing"),
        (STOCHASTIC, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in", dates=(0.5, 1.0)), {}, "all"),
    ],
)
def test_it_is_known_what_of_the_hessian_is(
    problem: Build, process: Process, payoff: Payoff, others: dict[str, tuple[float, float]], expected: Known
) -> None:
    assert method(problem(process, payoff, 1.0, **others)).known == expected


def test_a_reference_that_is_not_finite_is_named(problem: Build) -> None:
    with pytest.raises(NonFiniteLabels, match="sample 1: the reference's value is"):
        reference(problem(PLAIN, CALL, 1.0), np.array([[90.0], [np.nan]]))


def test_features_of_another_width_are_refused(problem: Build) -> None:
    with pytest.raises(InvalidSpec, match="shape"):
        reference(problem(PLAIN, CALL, 1.0), np.zeros((3, 2)))


def test_lower_orders_are_the_same_numbers(problem: Build) -> None:
    case, x = problem(PLAIN, CALL, 1.0), np.array([[90.0], [110.0]])
    value, delta, full = (reference(case, x, order=order) for order in (0, 1, 2))
    assert np.array_equal(value.value, full.value)
    assert np.array_equal(delta.gradient, full.gradient)
    assert not value.gradient.any()
    assert not delta.hessian.any()


def test_rows_do_not_know_their_neighbours(problem: Build) -> None:
    """More rows than one differentiated block holds."""
    case, x = problem(PLAIN, CALL, 1.0, volatility=(0.1, 0.5)), np.random.default_rng(1).uniform(0.2, 0.4, (150, 2))
    x[:, 0] *= 300.0
    together, alone = reference(case, x), reference(case, x[140:141])
    assert together.hessian.shape == (150, 2, 2)
    assert np.allclose(together.hessian[140], alone.hessian[0], rtol=1e-12)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_a_reference(path: Path) -> None:
    case = load(PricingProblem, tomllib.loads(path.read_text())["problem"])
    most = affordable(case)
    assert kind(case)
    assert most is None or 16 <= most <= 4096
    if kind(case) in ("closed form", "fourier", "quadrature", "pde"):
        got = reference(case, case.box.from_uniforms(np.full((1, case.box.dimension), 0.5)))
        assert np.isfinite(got.hessian).all()
        assert got.value[0] > 0.0


def test_what_takes_long_is_affordable_in_smaller_numbers(problem: Build) -> None:
    note = Autocall(
        initial=(100.0,) * 3, dates=(0.5, 1.0), triggers=(1.0, 1.0), coupon=0.1, coupon_barrier=0.8, knock_in=0.6
    )
    assert affordable(problem(PLAIN, CALL, 1.0, volatility=(0.1, 0.5))) is None
    assert affordable(problem(LOCAL, CALL, 1.0)) is None
    assert affordable(problem(LOCAL, CALL, 1.0, rate=(0.0, 0.1), volatility=(0.1, 0.5))) == 16
    assert affordable(problem(STOCHASTIC, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in"), 1.0)) == 32
    assert affordable(problem(THREE, note, 1.0)) == 128
    assert kind(problem(THREE, note, 1.0, knock_in=(0.5, 0.7))) == "replicates"
