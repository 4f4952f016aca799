from __future__ import annotations

import numpy as np
import pytest

from surrogate.evaluation.held_out import WIDEST, without_noise
from surrogate.evaluation.replicates import FEWEST, replicate_noise
from surrogate.report.sources import LabelNoise


def estimate(seed: int, *, points: int = 400, each: int = 4, noise: float, miss: float) -> tuple[float, float] | None:
    """Labels N(0, 1) with noise, predicted up to ``miss``: R2 without the noise is 1 - miss^2."""
    generator = np.random.default_rng(seed)
    x = np.repeat(generator.standard_normal((points, 1)), each, axis=0)
    wrong = np.repeat(miss * generator.standard_normal((points, 1)), each, axis=0)
    y = x + noise * generator.standard_normal(x.shape)
    found = replicate_noise(x, {"value": y})
    assert found is not None
    return without_noise(x + wrong, y, np.arange(points).repeat(each), found["value"])


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_the_share_is_right_up_to_its_standard_error(noise: float) -> None:
    exact = 1.0 - 0.5**2
    found = np.array([estimate(seed, noise=noise, miss=0.5) for seed in range(200)], dtype=np.float64)
    off = found[:, 0] - exact
    assert abs(off.mean()) < 4.0 * off.std() / np.sqrt(200) + 0.02 * (1.0 - exact)
    assert 0.9 * off.std() < found[:, 1].mean() < 1.6 * off.std()


def test_it_is_never_above_one() -> None:
    found = [estimate(seed, points=1000, noise=1.0, miss=0.01) for seed in range(40)]
    shares = [share[0] for share in found if share is not None]
    assert len(shares) == 40
    assert max(shares) == 1.0
    assert min(shares) > 0.9


def test_noise_that_hides_all_gives_no_share() -> None:
    """As 1,000 points of 4 noisy paths: noise is 99 % of the variance."""
    assert not any(estimate(seed, points=1000, noise=10.0, miss=0.05) for seed in range(40))


def test_rows_without_replicates_are_judged_by_the_noise_of_others() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4000, 1))
    y, points = x + 0.5 * generator.standard_normal(x.shape), np.arange(4000)
    found = without_noise(0.8 * x, y, points, LabelNoise(square=0.25, error=0.005))
    assert found is not None
    assert found[0] == pytest.approx(1.0 - 0.2**2, abs=4.0 * found[1])
    assert found[1] < 0.02


@pytest.mark.parametrize(
    ("size", "noise"),
    [
        (0.3, LabelNoise(square=1.0, error=0.05)),
        (1.0, LabelNoise(square=1.0, error=1.1 * WIDEST)),
        (1.0, LabelNoise(square=1.5, error=1e-3)),
    ],
)
def test_a_share_is_given_only_where_it_is_known(size: float, noise: LabelNoise) -> None:
    """Little variance beside the noise; an error that is too large; errors that are too small to hold the noise."""
    generator = np.random.default_rng(0)
    x = size * generator.standard_normal((1000, 1))
    y = x + generator.standard_normal(x.shape)
    assert without_noise(x, y, np.arange(1000), noise) is None


def test_few_points_give_no_share() -> None:
    generator = np.random.default_rng(0)
    x = np.tile([[1.0], [-1.0]], (FEWEST, 1))[: FEWEST + 1]
    y, noise = x + 0.01 * generator.standard_normal(x.shape), LabelNoise(square=1e-4, error=1e-5)
    assert without_noise(x[1:], y[1:], np.arange(FEWEST), noise) is not None
    assert without_noise(x[2:], y[2:], np.arange(FEWEST - 1), noise) is None
