from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.diffusion import Diffusion, diffusion_parameters, require_diffusion
from pricing.specs.schedule import Piece

PAIR = Diffusion(correlation=((1.0, 0.5), (0.5, 1.0)), rate=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": float("nan")}, "rate must be finite"),
        ({"dividend_yields": (0.1,)}, "dividend_yields: give none or 2, got 1"),
        ({"dividend_yields": (0.1, float("inf"))}, r"dividend_yields\[1\] must be finite, got inf"),
        ({"rate_pieces": (Piece(start=0.5, value=0.1),) * 2}, "rate_pieces: times must increase, got 0.5 after 0.5"),
        ({"volatility_pieces": (Piece(start=0.5, value=-1.0),)}, "volatility_pieces"),
        ({"correlation": ((1.0, 2.0), (2.0, 1.0))}, "correlation"),
        ({"correlation": ((1.0,),)}, "correlation"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    require_diffusion(PAIR, 2)
    with pytest.raises(InvalidSpec, match=message):
        require_diffusion(replace(PAIR, **change), 2)


def test_yields_are_zero_unless_given_and_pieces_are_coordinates() -> None:
    assert diffusion_parameters(PAIR, 2) == {
        "volatility_scale": (1.0,),
        "rate": (0.02,),
        "dividend_yield": (0.0, 0.0),
    }
    pieces = (Piece(start=0.25, value=1.5), Piece(start=0.5, value=2.0))
    moving = replace(PAIR, volatility_pieces=pieces, dividend_yields=(0.01, 0.03))
    assert diffusion_parameters(moving, 2)["volatility_scale"] == (1.0, 1.5, 2.0)
    assert diffusion_parameters(moving, 2)["dividend_yield"] == (0.01, 0.03)
