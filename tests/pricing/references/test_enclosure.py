"""Bounds at one sample by one set of points: nothing is lost where nothing is decided, and scores are scores."""

import numpy as np
import torch

from pricing.domain import Feature
from pricing.references.continuation import Rule, fit, normals, sobol
from pricing.references.enclosure import Setting, enclose
from pricing.references.market import market
from tests.pricing.references.markets import MAXIMUM, three

ROW = torch.tensor([[100.0, 90.0, 110.0]], dtype=torch.float64)


def setting(row: torch.Tensor = ROW, *features: Feature) -> Setting:
    problem = three(MAXIMUM, *features)
    with torch.no_grad():
        rule = fit(market(problem, row), ordered=False)
    return Setting(problem=problem, rule=rule, row=row)


def test_scores_have_no_mean_and_the_second_is_the_slope_of_the_first() -> None:
    here = setting()
    score = here.spot_score(normals(sobol(1 << 14, 3, np.random.default_rng(1))))
    second = here.second_score(score)
    scale = score.std(dim=1)
    assert float((score.mean(dim=1) / scale).abs().max()) < 0.01
    assert float((second.mean(dim=2) / (scale[:, None] * scale)).abs().max()) < 0.02


def test_a_worse_rule_has_the_same_value_and_a_wider_gap() -> None:
    """Whatever C is, L is what its rule earns: 30 % more holds on too long, and the gap says what that costs."""
    good = setting()
    worse = Rule(
        market=good.market,
        continuations=tuple(
            type(one)(**{**vars(one), "coefficients": 1.3 * one.coefficients}) for one in good.rule.continuations
        ),
    )
    other = Setting(problem=good.problem, rule=worse, row=good.row)
    runs = [[enclose(one, np.random.default_rng([1, r])) for r in range(4)] for one in (good, other)]
    low = [np.mean([run.value for run in found]) for found in runs]
    gap = [np.mean([run.gap for run in found]) for found in runs]
    noise = np.std([run.value for run in runs[1]]) / 2.0
    assert gap[1] > 3.0 * gap[0]
    assert low[1] < low[0] + 3.0 * noise
    assert low[1] + gap[1] > low[0] - 3.0 * noise


def test_other_features_have_slopes_of_their_own() -> None:
    strike = Feature(name="strike", lower=(90.0,), upper=(110.0,))
    row = torch.cat([ROW, ROW.new_tensor([[100.0]])], dim=1)
    here = setting(row, strike)
    runs = [enclose(here, np.random.default_rng([1, r])) for r in range(8)]
    assert runs[0].gradient.shape == (4,)
    # Values are homogeneous in spots and strike.
    missed = [float(run.gradient @ row[0].numpy() - run.value) for run in runs]
    assert abs(np.mean(missed)) < 4.0 * np.std(missed, ddof=1) / np.sqrt(8.0)
