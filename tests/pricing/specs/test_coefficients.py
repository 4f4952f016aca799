"""Coefficients that make no process over the Box are refused before anything is simulated."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.coefficients import corners, require_coefficients
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_fit
from tests.pricing.cases import CALL, GAUSSIAN, WRITTEN, feature, problem_of

SPOTS = (70.0, 130.0)


def written(
    drift: str, diffusion: str, *others: Feature, spots: tuple[float, float] = SPOTS, **fields: Any
) -> PricingProblem:
    process = replace(WRITTEN, drifts=(drift,), diffusions=(diffusion,), **fields)
    strike = 0.5 * (spots[0] + spots[1])
    return problem_of(process, replace(CALL, strike=strike), *others, spots=spots)


@pytest.mark.parametrize(
    "problem",
    [
        written("r * S", "0.2 * S"),
        written("0", "2 * sqrt(S)"),
        written("0", "0.2 * sqrt(max(S, 0))", spots=(0.0, 2.0)),
        written("0", "20 / (t + 1)"),
        written("0", "max(0.1 * S, 0.4 * (S - 60))"),
        written("0", "-0.2 * S"),
        written("0", "0.2 * S", spots=(1e-4, 2e-4)),
        written("2 * (1e6 - S)", "3e5", spots=(5e5, 2e6)),
        written("0", "20 + 5 * tanh((S - 100) / 5)"),
        written("0", "min(0.2 * S, 30) * (1 - exp(-t))"),
        problem_of(GAUSSIAN, CALL),
    ],
)
def test_what_makes_a_process_is_taken(problem: PricingProblem) -> None:
    require_coefficients(problem)


@pytest.mark.parametrize(
    ("problem", "message", "place"),
    [
        (written("0", "S / t"), "'S / t' is inf at S = 70, t = 0 years", "diffusions[0]"),
        (written("-S * log(S)", "20"), r"'log\(S\)' is nan at S = -", "drifts[0]"),
        (written("0", "sqrt(S)", spots=(-1.0, 2.0)), r"'sqrt\(S\)' is nan at S = -1, t = 0", "diffusions[0]"),
        (written("0", "k / S", spots=(0.0, 2.0), constants={"k": 1.0}), "'k / S' is inf at S = 0", "diffusions[0]"),
        (written("exp(1000 * S)", "20"), r"'exp\(1000 \* S\)' is inf at S = 70", "drifts[0]"),
        (written("S^2", "20"), r"is inf at S = .*, t = 0\.", "drifts[0]"),
        (written("0", "min(1 / max(S - 100, 0), 5)"), r"'1 / max\(S - 100, 0\)' is inf at S = 70", "diffusions[0]"),
        (written("0", "S - S"), "they are 0 wherever levels go", "diffusions"),
        (written("1", "0"), "they are 0 wherever levels go", "diffusions"),
        (written("0", "20 + 5 * abs(S - 99.9) / (S - 99.9)"), r"jumps, .* by 10 between S = 99\.", "diffusions[0]"),
        (written("0", "20 + 5 * tanh(1e6 * (S - 100))"), "jumps, or is too steep .* by 10 between", "diffusions[0]"),
        (written("9 * max(S - 99.9, 0)^1e-9", "20"), "jumps, or is too steep .* by 9 between", "drifts[0]"),
    ],
)
def test_refusals_name_the_coefficient_and_the_place(problem: PricingProblem, message: str, place: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        require_coefficients(problem)
    assert caught.value.fields["path"] == f"problem.process.{place}"


def test_the_box_of_the_constants_is_looked_at_too() -> None:
    """The process is one at its own constants, and none at a corner of their Box."""
    numbers = {"k": 1.0, "m": 0.0}
    require_coefficients(written("0", "sqrt(k * 100 - m) + S", constants=numbers))
    with pytest.raises(InvalidSpec, match=r"'sqrt\(k \* 100 - m\)' is nan"):
        require_coefficients(
            written(
                "0",
                "sqrt(k * 100 - m) + S",
                Feature(name="constant", lower=(1.0, 0.0), upper=(2.0, 150.0)),
                constants=numbers,
            )
        )


def test_corners_are_the_middle_each_bound_and_all_corners() -> None:
    problem = written("0", "k * S", feature("constant", 0.1, 0.3), feature("maturity", 0.5, 1.5), constants={"k": 0.2})
    assert isinstance(problem.process, ItoDiffusion)
    found = corners(problem, problem.process)
    pairs = sorted(zip(found["k"].round(9).tolist(), found[".maturity"].tolist(), strict=True))
    sides = [(0.2, 1.0), (0.1, 1.0), (0.3, 1.0), (0.2, 0.5), (0.2, 1.5)]
    assert pairs == sorted([*sides, (0.1, 0.5), (0.1, 1.5), (0.3, 0.5), (0.3, 1.5)])


def test_kinked_levels_have_no_curvatures() -> None:
    problem = written("0", "max(15, 0.2 * S)")
    require_fit(problem, LabelSpec(order=1))
    with pytest.raises(
        InvalidSpec, match="order = 2: abs, max and min of S leave the levels of 'ito_diffusion' kinked"
    ):
        require_fit(problem, LabelSpec())


def test_the_largest_process_is_looked_at_in_seconds() -> None:
    """Eight assets, each with almost as many operations as one may have."""
    texts = tuple(" + ".join(f"{i}.{j} * S" for j in range(1, 80)) for i in range(1, 9))
    corners = tuple(tuple(float(i == j) for j in range(8)) for i in range(8))
    process = replace(WRITTEN, drifts=("0",) * 8, diffusions=texts, correlation=corners)
    begun = time.perf_counter()
    require_coefficients(problem_of(process, replace(CALL, weights=(1.0,) * 8), spots=SPOTS))
    assert time.perf_counter() - begun < 10.0
