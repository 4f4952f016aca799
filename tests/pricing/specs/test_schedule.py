"""What changes at fixed times, as the paths feel it, and what makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario
from pricing.specs.schedule import Dividend, Piece
from tests.pricing.cases import CALL, PLAIN, doubles, problem_of

STILL = replace(PLAIN, volatilities=(0.0,))


def level(process: Any, until: float) -> float:
    """Where the only path is."""
    at = scenario(problem_of(process, CALL), doubles([[100.0]]))
    draws = torch.zeros(1, 1, sum(blocks(process, 1)), dtype=torch.float64)
    return float(simulate(process, at, draws, doubles([[[until]]])).levels())


@pytest.mark.parametrize(("until", "expected"), [(0.4, 100.0), (0.5, 100.0 * 0.875 - 4.0), (1.0, 100.0 * 0.875 - 4.0)])
def test_an_asset_falls_by_a_proportion_of_itself_then_by_an_amount(until: float, expected: float) -> None:
    paying = replace(STILL, dividends=(Dividend(time=0.5, amount=4.0, proportion=0.125),))
    assert level(paying, until) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("until", [0.1, 0.25, 0.6, 2.0])
def test_a_piece_holds_from_its_start_on(until: float) -> None:
    process = replace(STILL, rate=0.02, rate_pieces=(Piece(start=0.25, value=0.1), Piece(start=0.5, value=-0.05)))
    grown = 0.02 * min(until, 0.25) + 0.1 * max(min(until, 0.5) - 0.25, 0.0) - 0.05 * max(until - 0.5, 0.0)
    assert level(process, until) == pytest.approx(100.0 * math.exp(grown), rel=1e-14)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Piece, {"start": math.nan, "value": 0.1}, "start must be finite, got nan"),
        (Piece, {"start": 0.5, "value": math.inf}, "value must be finite, got inf"),
        (Dividend, {"time": -0.5}, r"time must be in \[0, 1000\], got -0.5"),
        (Dividend, {"time": 0.5, "asset": -1}, r"asset must be in \[0, 999\], got -1"),
        (Dividend, {"time": 0.5, "amount": -1.0}, r"amount must be in \[0, 1e\+12\], got -1.0"),
        (Dividend, {"time": 0.5, "proportion": 1.5}, r"proportion must be in \[0, 1\], got 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type[Piece | Dividend], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        kind(**fields)
