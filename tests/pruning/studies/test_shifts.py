from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references.bachelier_greeks import greeks
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from pricing.types import Array
from pruning.studies.shifts import (
    DEFAULT_SHIFTS,
    Corner,
    Correlation,
    Domain,
    Faces,
    InputNoise,
    Maturity,
    Narrowed,
    Shift,
    Volatility,
    default_shifts,
    domains,
    shifted_problem,
)

PROBLEM = PricingProblem(
    process=Bachelier(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0))),
    payoff=Call(weights=(0.5, 0.5), strike=1.0),
    maturity=1.0,
    features=(Feature(name="spot", lower=(0.5, 0.0), upper=(1.5, 4.0)),),
)
WIDTH = np.array([1.0, 4.0])


@pytest.fixture
def uniforms() -> Array:
    return np.random.default_rng(0).random((64, 2))


@pytest.fixture
def noise() -> Array:
    return np.random.default_rng(1).random((64, 2))


def shifted(shift: Shift, uniforms: Array, noise: Array) -> tuple[Domain, Domain]:
    nominal, other = domains(PROBLEM, [shift], uniforms=uniforms, noise=noise)
    return nominal, other


def test_the_first_domain_is_the_nominal_one_and_names_differ(uniforms: Array, noise: Array) -> None:
    places = domains(PROBLEM, DEFAULT_SHIFTS, uniforms=uniforms, noise=noise)
    assert places[0].name == "nominal"
    assert len({domain.name for domain in places}) == len(DEFAULT_SHIFTS) + 1
    np.testing.assert_array_equal(places[0].shown, PROBLEM.box.from_uniforms(uniforms))


def test_noise_moves_what_is_shown_by_its_level_and_not_the_question(uniforms: Array, noise: Array) -> None:
    nominal, small = shifted(InputNoise(level=0.01), uniforms, noise)
    _, large = shifted(InputNoise(level=0.05), uniforms, noise)
    np.testing.assert_array_equal(small.asked, nominal.asked)
    moved = (small.shown - nominal.shown) / WIDTH
    assert 0.005 < np.abs(moved).max() <= 0.01
    np.testing.assert_allclose((large.shown - nominal.shown) / WIDTH, 5.0 * moved)


def test_even_a_perfect_surrogate_has_the_error_that_noise_induces(uniforms: Array, noise: Array) -> None:
    levels = [InputNoise(level=level) for level in (0.0, 0.01, 0.05)]
    errors = []
    for domain in domains(PROBLEM, levels, uniforms=uniforms, noise=noise):
        answer, exact = (greeks(domain.problem, points).value for points in (domain.shown, domain.asked))
        errors.append(float(np.sqrt(np.mean((answer - exact) ** 2))))
    assert errors[0] == errors[1] == 0.0 < errors[2] < errors[3]


@pytest.mark.parametrize(
    ("shift", "low", "high"),
    [
        (Corner(side="lower", share=0.2), 0.0, 0.2),
        (Corner(side="upper", share=0.2), 0.8, 1.0),
        (Narrowed(share=0.5), 0.25, 0.75),
    ],
)
def test_parts_of_the_box_are_where_they_say(
    shift: Shift, low: float, high: float, uniforms: Array, noise: Array
) -> None:
    _, inside = shifted(shift, uniforms, noise)
    place = (inside.shown - PROBLEM.box.lower) / WIDTH
    assert low <= place.min() < low + 0.05
    assert high - 0.05 < place.max() <= high
    np.testing.assert_array_equal(inside.shown, inside.asked)


def test_edges_have_one_coordinate_on_a_face(uniforms: Array, noise: Array) -> None:
    nominal, faces = shifted(Faces(), uniforms, noise)
    on_face = np.isin(faces.shown, [PROBLEM.box.lower, PROBLEM.box.upper])
    np.testing.assert_array_equal(on_face.sum(axis=1), 1)
    np.testing.assert_array_equal(on_face.sum(axis=0), 32)
    np.testing.assert_array_equal(faces.shown[~on_face], nominal.shown[~on_face])


def test_a_bachelier_option_knows_volatility_and_maturity_by_their_product(uniforms: Array, noise: Array) -> None:
    _, volatile = shifted(Volatility(factor=1.1), uniforms, noise)
    _, longer = shifted(Maturity(factor=1.21), uniforms, noise)
    # Driftless and undiscounted: s^2 = sigma^2 T.
    np.testing.assert_allclose(
        greeks(volatile.problem, volatile.asked).value,
        greeks(longer.problem, longer.asked).value,
    )
    assert volatile.problem.maturity == 1.0


def with_feature(name: str, lower: tuple[float, ...], upper: tuple[float, ...]) -> PricingProblem:
    return replace(PROBLEM, features=(*PROBLEM.features, Feature(name=name, lower=lower, upper=upper)))


def test_correlation_to_one_is_the_sum_of_the_standard_deviations(uniforms: Array, noise: Array) -> None:
    nominal, moved = shifted(Correlation(share=0.5), uniforms, noise)
    assert moved.name == "correlation 0.5 to 1"
    assert moved.problem.process.correlation == ((1.0, 0.75), (0.75, 1.0))
    np.testing.assert_array_equal(moved.shown, nominal.shown)
    # Of weights 1/2: s^2 = (0.2^2 + 0.3^2 + 2 rho 0.2 0.3) / 4, so that s = 0.25 at a correlation of 1.
    _, almost = shifted(Correlation(share=0.999), uniforms, noise)
    whole = replace(
        PROBLEM,
        process=replace(PROBLEM.process, volatilities=(0.25, 0.25), correlation=((1.0, 0.999999), (0.999999, 1.0))),
    )
    value, limit = (greeks(problem, nominal.asked).value for problem in (almost.problem, whole))
    np.testing.assert_allclose(value, limit, atol=1e-4)
    assert (greeks(moved.problem, moved.asked).value >= greeks(nominal.problem, nominal.asked).value).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_correlations_stay_what_they_are_or_rise_and_the_matrix_stays_one(share: float) -> None:
    rho = ((1.0, -0.8, 0.2), (-0.8, 1.0, 0.1), (0.2, 0.1, 1.0))
    problem = replace(
        PROBLEM,
        process=BlackScholes(volatilities=(0.2, 0.3, 0.4), correlation=rho),
        payoff=Call(weights=(0.5, 0.3, 0.2), strike=1.0),
        features=(Feature(name="spot", lower=(0.5,) * 3, upper=(1.5,) * 3),),
    )
    moved = np.array(shifted_problem(problem, Correlation(share=share)).process.correlation)
    np.testing.assert_allclose(1.0 - moved, (1.0 - share) * (1.0 - np.array(rho)))


def test_one_asset_has_no_correlation() -> None:
    problem = PricingProblem(
        process=Bachelier(volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Call(weights=(1.0,), strike=1.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.5,), upper=(1.5,)),),
    )
    with pytest.raises(InvalidSpec, match=r"'correlation 0\.1 to 1' needs several assets, got a process of one"):
        domains(problem, [Correlation(share=0.1)], uniforms=np.ones((1, 1)), noise=np.ones((1, 1)))
    assert default_shifts(problem) == DEFAULT_SHIFTS[:-1]


@pytest.mark.parametrize(
    ("name", "lower", "upper", "shift"),
    [
        ("correlation", (0.0,), (0.9,), Correlation(share=0.1)),
        ("loading", (0.1, 0.1), (0.9, 0.9), Correlation(share=0.1)),
        ("maturity", (0.5,), (1.5,), Maturity(factor=0.95)),
        ("volatility", (0.1, 0.1), (0.4, 0.4), Volatility(factor=1.05)),
    ],
)
def test_a_market_that_the_network_is_told_of_is_no_shift(
    name: str, lower: tuple[float, ...], upper: tuple[float, ...], shift: Shift
) -> None:
    told = with_feature(name, lower, upper)
    with pytest.raises(InvalidSpec, match=f"has nothing to move, because {name} is a feature"):
        shifted_problem(told, shift)
    assert set(DEFAULT_SHIFTS) - set(default_shifts(told)) == {shift}


def test_the_same_market_with_another_feature_may_be_shifted() -> None:
    told = with_feature("strike", (0.9,), (1.1,))
    assert default_shifts(told) == DEFAULT_SHIFTS


def test_bounds_are_checked() -> None:
    with pytest.raises(InvalidSpec, match="share"):
        Correlation(share=1.0)
    with pytest.raises(InvalidSpec, match="level"):
        InputNoise(level=-0.1)
    with pytest.raises(InvalidSpec, match="share"):
        Corner(side="upper", share=1.5)
