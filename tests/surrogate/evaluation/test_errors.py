from __future__ import annotations

import numpy as np
import pytest
from msgspec import UNSET

from surrogate.evaluation.errors import bounds, offset, told
from surrogate.report.scores import CONFIDENCE, FEWEST_POINTS, Offset


@pytest.mark.parametrize("count", [8, 64, 1024])
def test_a_bound_is_right_as_often_as_it_says(count: int) -> None:
    """Of a law whose quantiles are known, for every share: right in 95 % of 2,000 draws, within four deviations."""
    generator, rounds = np.random.default_rng(count), 2000
    shares = [bound.share for bound in bounds(generator.random(count))]
    right = np.zeros(len(shares))
    for _ in range(rounds):
        found = bounds(generator.standard_exponential(count))
        right += [1.0 - np.exp(-bound.error) >= bound.share for bound in found]
    assert (right / rounds >= CONFIDENCE - 4.0 * np.sqrt(CONFIDENCE * (1.0 - CONFIDENCE) / rounds)).all()
    assert shares[-1] == pytest.approx(0.05 ** (1.0 / count))


def test_no_smaller_order_statistic_would_do() -> None:
    """Of 1,024 errors 1, 2, ... that of nine tenths is k with P(Bin(1024, .9) < k) just above .95."""
    found = {bound.share: bound.error for bound in bounds(np.arange(1.0, 1025.0))}
    below = np.random.default_rng(0).binomial(1024, 0.9, 400_000)
    assert (below < found[0.9]).mean() >= CONFIDENCE - 2e-3
    assert (below < found[0.9] - 1.0).mean() < CONFIDENCE + 2e-3


def test_a_point_counts_by_its_worst_coordinate_and_the_margin_is_added() -> None:
    error = np.stack([np.full(100, -3.0), np.linspace(0.0, 1.0, 100)], axis=1)
    plain, sure = told(error), told(error, np.full_like(error, 0.25))
    assert plain["quantiles"] == {"0.5": 3.0, "0.9": 3.0, "0.99": 3.0}
    assert plain["bounds"] is UNSET
    assert sure["bounds"] is not UNSET
    assert {bound.error for bound in sure["bounds"]} == {3.25}


def test_few_points_say_nothing() -> None:
    assert set(told(np.ones((FEWEST_POINTS - 1, 2)), np.ones((FEWEST_POINTS - 1, 2))).values()) == {UNSET}


def test_a_constant_part_is_named_where_it_is_neither_chance_nor_small() -> None:
    noise = np.random.default_rng(1).standard_normal((400, 1))
    assert offset(noise) is UNSET
    assert offset(noise + 0.5) is UNSET  # ten standard errors, but a fifth of the square
    found = offset(noise + 2.0)
    assert isinstance(found, Offset)
    assert found.mean == pytest.approx(2.0, abs=4.0 * found.standard_error)
    assert found.share == pytest.approx(0.8, abs=0.05)
    assert offset(np.zeros((10, 1))) is UNSET
