from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning.errors import PruningError
from pruning.studies.potential import excess_error, excess_slope, prune_potential

RATIOS = [0.2, 0.4, 0.6, 0.8, 0.9]
errors_of_five = st.lists(st.floats(0.0, 10.0), min_size=5, max_size=5)
deltas = st.floats(0.0, 5.0)


@given(errors=errors_of_five, dense=st.floats(0.0, 5.0), first=deltas, second=deltas)
def test_the_potential_rises_with_the_accepted_loss(
    errors: list[float], dense: float, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    for relative in (True, False):
        assert prune_potential(RATIOS, errors, dense=dense, delta=low, relative=relative) <= prune_potential(
            RATIOS, errors, dense=dense, delta=high, relative=relative
        )


@given(errors=errors_of_five, more=errors_of_five, delta=deltas)
def test_the_potential_falls_with_noise_where_its_errors_are_nested(
    errors: list[float], more: list[float], delta: float
) -> None:
    # The noise that a pruned network suffers from besides what the dense one does.
    noisy = [error + added for error, added in zip(errors, more, strict=True)]
    calm = prune_potential(RATIOS, errors, dense=1.0, delta=delta)
    assert prune_potential(RATIOS, noisy, dense=1.0, delta=delta) <= calm


def test_the_potential_is_over_all_ratios_and_in_any_order() -> None:
    assert prune_potential([0.9, 0.3, 0.6], [1.0, 1.0, 9.0], dense=1.0, delta=0.0) == 0.9
    assert prune_potential(RATIOS, [2.0] * 5, dense=1.0, delta=0.5) == 0.0
    assert prune_potential([], [], dense=1.0, delta=0.5) == 0.0


def test_the_bound_itself_qualifies() -> None:
    assert prune_potential([0.5], [1.25], dense=1.0, delta=0.25) == 0.5
    assert prune_potential([0.5], [1.2500001], dense=1.0, delta=0.25) == 0.0


def test_error_rates_are_compared_by_an_amount() -> None:
    rates = [0.021, 0.024, 0.026, 0.08, 0.5]
    assert prune_potential(RATIOS, rates, dense=0.02, delta=0.005, relative=False) == 0.4
    assert prune_potential(RATIOS, rates, dense=0.02, delta=0.005) == 0.0


@given(errors=errors_of_five)
def test_there_is_no_excess_on_the_same_domain(errors: list[float]) -> None:
    assert not excess_error(errors, errors).any()


def test_the_excess_is_the_difference_by_network() -> None:
    np.testing.assert_allclose(excess_error([2.0, 5.0], [1.0, 1.5]), [1.0, 3.5])


def test_the_slope_of_a_line_through_the_origin_is_exact_and_certain() -> None:
    fitted = excess_slope(RATIOS, [0.7 * ratio for ratio in RATIOS], generator=np.random.default_rng(0))
    np.testing.assert_allclose([fitted.slope, fitted.low, fitted.high], 0.7)


def test_the_slope_is_the_least_squares_one_and_the_seed_decides_its_interval() -> None:
    r = np.repeat(RATIOS, 20)
    d = 0.3 * r + np.random.default_rng(1).normal(scale=0.05, size=len(r))
    first, again = (excess_slope(r.tolist(), d.tolist(), generator=np.random.default_rng(2)) for _ in range(2))
    assert first == again
    expected = np.linalg.lstsq(r[:, None], d, rcond=None)[0][0]
    np.testing.assert_allclose(first.slope, expected)
    assert first.low < 0.3 < first.high
    # The classical standard error of the slope, sigma / sqrt(sum r^2), times 1.96 on either side.
    width = 2 * 1.96 * 0.05 / np.sqrt((r**2).sum())
    assert 0.6 * width < first.high - first.low < 1.6 * width


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    r = np.tile(RATIOS, 6)
    covered = 0
    for _ in range(100):
        fitted = excess_slope(
            r.tolist(), (0.3 * r + generator.normal(scale=0.1, size=len(r))).tolist(), generator=generator
        )
        covered += fitted.low <= 0.3 <= fitted.high
    assert covered >= 85


def test_what_does_not_pair_is_refused() -> None:
    with pytest.raises(PruningError, match="one per network"):
        prune_potential([0.5], [1.0, 2.0], dense=1.0, delta=0.1)
    with pytest.raises(PruningError, match="above 0"):
        excess_slope([0.0, 0.0], [0.0, 0.0], generator=np.random.default_rng(0))
