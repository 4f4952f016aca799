from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import UNSET
from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.simulated import require_variation
from app.specification.build import BuildSpec
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.labels import load as load_labels
from pricing.specs.base import load
from pricing.specs.problem import PricingProblem
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.report.report import plain_report
from surrogate.report.sources import SimulatedLabels

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


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1.0, 1e8])
@pytest.mark.parametrize(
    "payoff",
    [
        {"kind": "call", "strike": 100.0, "weights": [1.0]},
        {"kind": "digital", "strike": 100.0, "weights": [1.0], "cash": 1.0},
        {"kind": "pieces", "weights": [1.0], "knots": [100.0], "slopes": [0.0, 1.0]},
        {"kind": "autocall", "initial": [100.0], "dates": [1.0], "triggers": [1.0], "coupon": 0.1, "knock_in": 0.6},
    ],
    ids=lambda payoff: str(payoff["kind"]),
)
def test_what_is_paid_in_another_unit_varies_as_much(payoff: dict[str, Any], unit: float) -> None:
    match payoff["kind"]:
        case "call":
            payoff = payoff | {"strike": 100.0 * unit, "weights": [unit]}
        case "digital":
            payoff = payoff | {"cash": unit}
        case "pieces":
            payoff = payoff | {"slopes": [0.0, unit]}
        case _:
            payoff = payoff | {"notional": unit, "coupon_barrier": 0.8}
    problem = load(PricingProblem, {"process": PROCESS, "payoff": payoff, "maturity": 1.0, "features": [SPOT]})
    require_variation(problem, unit * torch.tensor([0.47, 0.48], dtype=torch.float64))


def test_what_is_worth_less_than_the_rounding_of_a_spot_is_worth_nothing() -> None:
    with pytest.raises(InvalidSpec, match=r"its value is 1e-16 at all 2 samples"):
        require_variation(load(PricingProblem, barrier(90.0, "down")), torch.tensor([0.0, 1e-16], dtype=torch.float64))


def test_a_bend_that_scaling_leaves_is_refused_before_anything_is_simulated(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Volatilities that go down to 0 have no exact scaling, which only bounds of the formulas tell."""
    process = PROCESS | {"volatility_pieces": [{"start": 0.5, "value": 2.0}]}
    maturity = {"name": "maturity", "lower": [0.1], "upper": [1.5]}
    volatility = {"name": "volatility", "lower": [0.0], "upper": [0.5]}
    payoff = {"kind": "call", "weights": [1.0], "strike": 100.0}
    problem = {"process": process, "payoff": payoff, "maturity": 1.0, "features": [SPOT, maturity, volatility]}
    with pytest.raises(InvalidSpec, match=r"problem.features\[1\]: maturity .* bends at 0.5: .* \[0.1, 0.5\] and"):
        build(load(BuildSpec, tiny | {"problem": problem, "labels": {"samples": 32, "paths": 32}}), tmp_path)
    assert not (tmp_path / "labels.npz").exists()


@pytest.mark.parametrize("kind", ["uniform", "moneyness"])
@pytest.mark.parametrize(("level", "direction"), [(120.0, "down"), (85.0, "up")])
def test_labels_are_made_where_the_barrier_has_left_something(
    tiny: dict[str, Any], kind: str, level: float, direction: str, tmp_path: Path
) -> None:
    labels = tiny["labels"] | {"sampler": {"kind": kind}}
    spec = load(BuildSpec, tiny | {"problem": barrier(level, direction) | {"features": [SPOT]}, "labels": labels})
    spec = replace(spec, problem=replace(spec.pricing, payoff=replace(spec.pricing.payoff, strike=80.0)))
    made = build(spec, tmp_path)
    spots = load_labels(tmp_path / "labels.npz").features.numpy()[:, 0]
    assert len(spots) == spec.labels.samples
    assert (spots > level).all() if direction == "down" else (spots < level).all()
    facts = made.manifest.reduction
    assert facts is not None
    assert facts.formula == ("V = 1{S > H} h(x)" if direction == "down" else "V = 1{S < H} h(x)")
    assert f"{facts.formula}, leaves h to learn" in made.card


def test_a_barrier_that_leaves_next_to_nothing_is_refused(tiny: dict[str, Any], tmp_path: Path) -> None:
    labels = tiny["labels"] | {"sampler": {"kind": "uniform"}}
    spec = load(BuildSpec, tiny | {"problem": barrier(128.0, "down"), "labels": labels})
    with pytest.raises(InvalidSpec, match=r"it has ended the option at 9[0-9]% of the samples, and too few are left"):
        build(spec, tmp_path)


def history(rows: int) -> list[list[float]]:
    """States of two assets around (0.9, 1.1)."""
    normals = stream("history", seed=0).standard_normal((rows, 2))
    found: list[list[float]] = (normals @ np.array([[0.1, 0.05], [0.0, 0.1]]) + np.array([0.9, 1.1])).tolist()
    return found


@pytest.mark.parametrize("sparsity", [None, 0.5])
def test_labels_are_made_where_the_market_goes(tiny: dict[str, Any], sparsity: float | None, tmp_path: Path) -> None:
    flow = {"hidden": [4, 4], "steps": 2, "epochs": 2, "sparsity": sparsity}
    states = history(200)
    tiny["labels"] |= {"samples": 512, "sampler": {"kind": "table", "states": states, "flow": flow}}
    told: list[float] = []
    made = build(load(BuildSpec, tiny), tmp_path / "a", lambda _, share: told.append(share))
    assert told == sorted(told)
    features = load_labels(tmp_path / "a" / "labels.npz").features.numpy()
    np.testing.assert_allclose(features.mean(axis=0), [0.9, 1.1], atol=0.03)
    assert load(BuildSpec, tiny).box.contains(features).all()
    facts = plain_report(made.report)["labels"]["table"]
    assert facts["states"] == 200
    assert 0.9 < facts["inside"] <= 1.0
    again = build(load(BuildSpec, plain_manifest(made.manifest)["provenance"]["build"]), tmp_path / "b")
    assert files.files(again) == files.files(made)
    states[7][0] += 1e-9
    changed = build(load(BuildSpec, tiny), tmp_path / "c")
    hashes = [plain_manifest(one.manifest)["provenance"]["states_sha256"] for one in (made, again, changed)]
    assert hashes[0] == hashes[1] == facts["states_sha256"] != hashes[2]


def test_a_table_far_from_the_box_is_refused(tiny: dict[str, Any], tmp_path: Path) -> None:
    states = [[10.0 + x, 10.0 + y] for x, y in history(50)]
    flow = {"hidden": [2], "steps": 1, "epochs": 1}
    tiny["labels"] |= {"sampler": {"kind": "table", "states": states, "flow": flow}}
    with pytest.raises(InvalidSpec, match="0 of 1024 states drawn lie in the Box"):
        build(load(BuildSpec, tiny), tmp_path)


def test_what_cannot_be_labelled_says_so(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["labels"] |= {"order": 2, "directions": 5}
    with pytest.raises(InvalidSpec, match="directions must be at most 2"):
        build(load(BuildSpec, tiny), tmp_path)


@pytest.mark.parametrize("law", ["pca", "random"])
def test_noise_is_told_by_feature_and_as_that_of_gamma(law: str, tiny: dict[str, Any], tmp_path: Path) -> None:
    """Errors of the labels file, block by block; the axes of two equal widths are a rotation of the Hessian's rows."""
    given = tiny["labels"] | {"order": 2, "direction_law": law, "directions": 2}
    made = build(load(BuildSpec, tiny | {"labels": given}), tmp_path)
    labels, facts = load_labels(tmp_path / "labels.npz"), made.report.labels
    assert isinstance(facts, SimulatedLabels)
    assert labels.gradient_error is not None
    assert labels.curvature_error is not None
    noise, bend = facts.noise, float(labels.curvature_error.square().mean().sqrt())
    assert noise is not UNSET
    assert set(noise) == {"value", "spot", "gamma"}
    assert noise["spot"] == pytest.approx(float(labels.gradient_error.square().mean().sqrt()))
    assert noise["gamma"] == pytest.approx(bend if law == "pca" else bend / 2.0**0.5)
    assert made.report.noise_floor == {"value": noise["value"], "delta": noise["spot"], "gamma": noise["gamma"]}
    assert made.report.simulated_paths == made.manifest.provenance.simulated_paths
