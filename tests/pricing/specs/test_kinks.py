"""A maturity over which the value bends is refused with the bend, the bounds and the two Boxes to build instead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.labels import make_labels
from pricing.specs.european import Call, Digital, WorstOf
from pricing.specs.kinks import kinks, require_no_kink, straightened
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Barrier, Bermudan, ForwardStart, Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.refusals import require_fit
from pricing.specs.schedule import Dividend, Piece
from tests.pricing.cases import (
    ASIAN,
    BERMUDAN,
    CALL,
    CARRYING,
    CONTINUOUS,
    DATED,
    DIGITAL,
    GAUSSIAN,
    NOTE,
    ONE,
    PAIR,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    WRITTEN,
    alike,
    asked,
    feature,
    problem_of,
)

RATES = (Piece(start=0.5, value=0.05),)
SCALES = (Piece(start=0.5, value=1.5),)
MATURITY = feature("maturity", 0.1, 1.5)
CARRIED = Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry")


def turning(process: Process, *, rates: tuple[Piece, ...] = (), scales: tuple[Piece, ...] = ()) -> Process:
    """The process with these pieces."""
    return replace(process, rate_pieces=rates, volatility_pieces=scales)


@pytest.mark.parametrize("process", [PLAIN, STOCHASTIC, SURFACE, WRITTEN, CARRIED])
@pytest.mark.parametrize("kind", ["rates", "scales"])
@pytest.mark.parametrize(
    ("payoff", "bends"),
    [
        (CALL, [0.5]),
        (CONTINUOUS, [0.5]),
        (ASIAN, [0.5, 1.0]),
        (BERMUDAN, [0.5, 1.0]),
        (replace(DATED, dates=(0.4, 0.8)), [0.5, 0.625, 1.25]),
        (ForwardStart(weights=(1.0,), strike=1.0, start=0.8), [0.5, 0.625]),
    ],
)
def test_every_date_that_meets_a_change_is_a_bend(
    process: Process, kind: str, payoff: Payoff, bends: list[float]
) -> None:
    given = problem_of(turning(process, **{kind: RATES if kind == "rates" else SCALES}), payoff, MATURITY)
    if kind == "scales" and payoff.facts.last_look < 1.0:
        bends = bends[1:]
    assert [kink.maturity for kink in kinks(given)] == pytest.approx(bends)
    with pytest.raises(InvalidSpec, match="build one model for each of the maturities") as caught:
        require_no_kink(given)
    assert caught.value.fields["path"] == "problem.features[1].upper"
    assert caught.value.fields["bound"] == pytest.approx(bends[0])


def test_the_sentence_has_the_bends_the_bounds_and_what_to_do() -> None:
    with pytest.raises(InvalidSpec) as caught:
        require_no_kink(problem_of(turning(PLAIN, scales=SCALES), ASIAN, MATURITY))
    assert str(caught.value) == (
        "problem.features[1]: maturity goes from 0.1 to 1.5 years, and the value bends at 0.5, 1: at 0.5 the payoff's "
        "date at 1 of the maturity meets process.volatility_pieces[0], which changes the volatilities by a factor of "
        "1.5 (more than 1.1), and theta jumps, which no smooth model shows; build one model for each of the maturities "
        "[0.1, 0.5], [0.5, 1] and [1, 1.5], or keep the maturity constant"
    )
    many = turning(CARRYING, rates=tuple(Piece(start=0.2 * (k + 1), value=0.04 * (-1) ** k) for k in range(6)))
    with pytest.raises(InvalidSpec, match=r"bends at 0.4, 0.6, 0.8, 1, ...: .*\[0.1, 0.4\], .*, ... and \[1.2, 1.5\]"):
        require_no_kink(problem_of(many, CALL, MATURITY))


@pytest.mark.parametrize(
    "given",
    [
        problem_of(turning(PLAIN, rates=RATES, scales=SCALES), ASIAN, maturity=0.7),  # no maturity to vary
        problem_of(turning(PLAIN, rates=RATES, scales=SCALES), CALL, feature("maturity", 0.1, 0.5)),
        problem_of(turning(PLAIN, rates=RATES, scales=SCALES), CALL, feature("maturity", 0.5, 1.5)),
        problem_of(turning(PLAIN, rates=RATES, scales=SCALES), CALL, feature("maturity", 0.1, 0.5000001)),
        problem_of(turning(PLAIN, rates=(Piece(start=0.5, value=0.01),)), ASIAN, MATURITY),
        problem_of(turning(PLAIN, scales=(Piece(start=0.5, value=1.1),)), ASIAN, MATURITY),
        problem_of(turning(PLAIN, scales=(Piece(start=0.5, value=1.0 / 1.1),)), ASIAN, MATURITY),
    ],
)
def test_what_does_not_bend_or_bends_little_is_taken(given: PricingProblem) -> None:
    require_no_kink(given)


@pytest.mark.parametrize(
    ("process", "varying", "change"),
    [
        (turning(PLAIN, rates=RATES), feature("rate", 0.0, 0.02, size=2), "the rate by 0.02 per year"),
        (turning(PLAIN, scales=SCALES), feature("volatility_scale", 0.5, 2.0, size=2), "by a factor of 4 "),
        (turning(PLAIN, scales=(Piece(start=0.5, value=0.0),)), MATURITY, "by a factor of inf "),
    ],
)
def test_features_change_by_what_their_bounds_allow(process: Process, varying: Feature, change: str) -> None:
    others = (MATURITY,) if varying == MATURITY else (varying, MATURITY)
    with pytest.raises(InvalidSpec, match=change):
        require_no_kink(problem_of(process, ASIAN, *others))


BOTH = {"rates": RATES, "scales": SCALES}


@pytest.mark.parametrize(
    ("given", "straight"),
    [
        (problem_of(turning(PLAIN, **BOTH), CALL, MATURITY), True),
        (problem_of(turning(PLAIN, **BOTH), DIGITAL, MATURITY), True),
        (problem_of(turning(alike(PLAIN, PAIR), **BOTH), WorstOf(initial=(1.0, 1.0), strike=1.0), MATURITY), True),
        (problem_of(turning(PLAIN, **BOTH), CALL, MATURITY, spots=(0.0, 150.0)), False),
        (problem_of(turning(PLAIN, **BOTH), Call(weights=(1.0,), strike=0.0), MATURITY), False),
        (problem_of(turning(STOCHASTIC, rates=RATES), CALL, MATURITY), True),
        (problem_of(turning(STOCHASTIC, **BOTH), CALL, MATURITY), False),
        (problem_of(turning(GAUSSIAN, scales=SCALES), CALL, MATURITY), True),
        (problem_of(turning(CARRIED, **BOTH), CALL, MATURITY), False),
        (problem_of(turning(SURFACE, **BOTH), CALL, MATURITY), False),
        (problem_of(turning(WRITTEN, **BOTH), CALL, MATURITY), False),
        (problem_of(turning(PLAIN, **BOTH), ASIAN, MATURITY), False),
        (problem_of(turning(PLAIN, **BOTH), NOTE, MATURITY), False),
        (problem_of(turning(PLAIN, **BOTH), replace(DATED, dates=()), MATURITY), False),
        (
            problem_of(
                turning(PLAIN, **BOTH),
                Pieces(weights=(1.0,), knots=(90.0, 110.0), slopes=(0.0, 1.0, 0.0), jumps=(0.0, 2.0)),
                MATURITY,
            ),
            False,
        ),
        (
            problem_of(
                replace(turning(PLAIN, **BOTH), dividends=(Dividend(time=2.0, proportion=0.1),)), CALL, MATURITY
            ),
            False,
        ),
    ],
)
def test_what_exact_scaling_straightens_is_taken_and_the_rest_refused(given: PricingProblem, straight: bool) -> None:
    assert straightened(given) == straight
    if straight:
        require_fit(given, LabelSpec(order=1))
        return
    with pytest.raises(InvalidSpec, match=r"the value bends at 0\.5"):
        require_fit(given, LabelSpec(order=1))


def test_theta_jumps_at_the_bend_and_nowhere_else() -> None:
    """What is refused is there: the labels' own slope in the maturity on either side of every bend."""
    process = BlackScholes(volatilities=(0.2,), correlation=ONE, rate_pieces=RATES, volatility_pieces=SCALES)
    given = problem_of(process, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0)), MATURITY)
    places = [*(kink.maturity for kink in kinks(given)), 0.75]
    x = torch.tensor([[100.0, place + side] for place in sorted(set(places)) for side in (-1e-6, 1e-6)]).double()
    slope = asked(make_labels(given, x, LabelSpec(paths=256, replicates=1, order=1), seed=0).gradient)[:, 1]
    jumps = np.abs(np.diff(slope.numpy())[::2])
    assert jumps[[0, 2]].min() > 0.5
    assert jumps[1] < 1e-3


def test_a_change_at_the_maturity_itself_is_of_the_piece_to_come() -> None:
    given = problem_of(turning(PLAIN, rates=RATES), Call(weights=(1.0,), strike=100.0), MATURITY)
    x = torch.tensor([[100.0, 0.5], [100.0, 0.5 + 1e-9]]).double()
    slopes = asked(make_labels(given, x, LabelSpec(paths=64, replicates=1, order=1), seed=0).gradient)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-6, atol=1e-9)


def test_payoffs_of_every_kind_are_looked_at() -> None:
    exercised = Bermudan(option=CALL, dates=(0.25, 1.0))
    up = Barrier(strike=100.0, barrier=120.0, direction="up", knock="out", dates=(0.25, 1.0))
    for payoff in (exercised, up, Digital(weights=(1.0,), strike=100.0)):
        assert kinks(problem_of(turning(PLAIN, scales=(Piece(start=0.2, value=3.0),)), payoff, MATURITY))
