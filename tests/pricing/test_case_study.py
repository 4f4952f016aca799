from __future__ import annotations

import numpy as np
import pytest

from pricing.case_study import SEVEN_ASSET_WEIGHTS, evaluation_spots, random_market
from pricing.errors import InvalidSpec
from pricing.specs.correlation import require_correlation


@pytest.mark.parametrize("assets", [1, 2, 7, 30])
@pytest.mark.parametrize("volatility", [0.2, 3.0])
def test_basket_has_the_volatility_asked_for(assets: int, volatility: float) -> None:
    market = random_market(assets, seed=4, basket_volatility=volatility)
    exposure = np.array(market.weights) * np.array(market.volatilities)
    assert np.sqrt(exposure @ np.array(market.correlation) @ exposure) == pytest.approx(volatility, rel=1e-12)
    assert sum(market.weights) == pytest.approx(1.0, rel=1e-12)
    assert min(market.weights) > 0.0
    assert min(market.volatilities) > 0.0
    require_correlation(market.correlation, assets)


def test_ratios_stay_in_their_ranges() -> None:
    """Weights within a factor of 10 of each other, volatilities too: both are scaled, nothing else."""
    for seed in range(20):
        market = random_market(7, seed=seed)
        assert max(market.weights) / min(market.weights) < 10.0
        assert max(market.volatilities) / min(market.volatilities) < 10.0


def test_the_seed_decides_the_market() -> None:
    assert random_market(7, seed=1) == random_market(7, seed=1)
    assert random_market(7, seed=1).correlation != random_market(7, seed=2).correlation


def test_given_weights_are_kept() -> None:
    free, given = random_market(7, seed=1), random_market(7, seed=1, weights=SEVEN_ASSET_WEIGHTS)
    assert given.weights == SEVEN_ASSET_WEIGHTS
    assert given.correlation == free.correlation
    assert sum(SEVEN_ASSET_WEIGHTS) == pytest.approx(1.0, abs=1e-7)
    with pytest.raises(InvalidSpec, match="give 3, one per asset, got 7"):
        random_market(3, seed=1, weights=SEVEN_ASSET_WEIGHTS)


def test_evaluation_spots_of_the_seven_asset_case() -> None:
    """Uniform on [0.3232, 1.6768]: a basket standard deviation of 0.3907 |w|."""
    spots, w = evaluation_spots(7, 1 << 15, seed=0), np.array(SEVEN_ASSET_WEIGHTS)
    assert spots.min() == pytest.approx(0.3232, abs=1e-3)
    assert spots.min() > 0.3232
    assert spots.max() == pytest.approx(1.6768, abs=1e-3)
    assert spots.max() < 1.6768
    assert (spots @ w).std() == pytest.approx(0.3907 * np.linalg.norm(w), rel=0.02)
    assert np.abs(np.corrcoef(spots.T) - np.eye(7)).max() < 4.0 / np.sqrt(1 << 15)
    np.testing.assert_array_equal(spots, evaluation_spots(7, 1 << 15, seed=0))
