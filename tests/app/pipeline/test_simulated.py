from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from app.pipeline.build import build
from app.pipeline.simulated import require_variation
from app.specification.build import BuildSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.problem import PricingProblem

PROCESS = {"kind": "black_scholes", "volatilities": [0.2], "correlation": [[1.0]], "rate": 0.02}
SPOT = {"name": "spot", "lower": [70.0], "upper": [130.0]}


def barrier(level: float, direction: str) -> dict[str, Any]:
    """A problem of a call that is knocked out."""
    payoff = {"kind": "barrier", "strike": 100.0, "barrier": level, "direction": direction, "knock": "out"}
    return {"process": PROCESS, "payoff": payoff, "maturity": 1.0, "features": [SPOT]}


@pytest.mark.parametrize(("level", "direction"), [(90.0, "up"), (140.0, "down")])
def test_a_worthless_payoff_is_refused_before_training(
    tiny: dict[str, Any], level: float, direction: str, tmp_path: Path
) -> None:
    labels = tiny["labels"] | {"sampler": {"kind": "uniform"}}
    said = rf"problem.payoff: its value is 0 at all 32 samples of the Box, .* look at strike 100, barrier {level:g} and"
    with pytest.raises(InvalidSpec, match=said) as caught:
        build(load(BuildSpec, tiny | {"problem": barrier(level, direction), "labels": labels}), tmp_path)
    assert caught.value.fields["path"] == "problem.payoff"
    assert not (tmp_path / "labels.npz").exists()


def test_what_differs_by_rounding_alone_is_constant() -> None:
    problem = load(PricingProblem, barrier(90.0, "down"))
    values = torch.tensor([0.98, 0.98, 0.98], dtype=torch.float64)
    with pytest.raises(InvalidSpec, match=r"its value is 0\.98 at all 3 samples"):
        require_variation(problem, values * (1.0 + 1e-15))
    require_variation(problem, values + torch.tensor([0.0, 1e-9, 0.0], dtype=torch.float64))
    require_variation(problem, torch.tensor([0.0, 1e-9], dtype=torch.float64))


def test_what_is_worth_less_than_the_rounding_of_a_spot_is_worth_nothing() -> None:
    with pytest.raises(InvalidSpec, match=r"its value is 1e-16 at all 2 samples"):
        require_variation(load(PricingProblem, barrier(90.0, "down")), torch.tensor([0.0, 1e-16], dtype=torch.float64))
