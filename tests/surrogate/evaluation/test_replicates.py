from __future__ import annotations

import numpy as np
import pytest

from pricing.types import Array
from surrogate.evaluation.replicates import FEWEST, copies, numbered, replicate_noise


def paths(points: int, each: int, seed: int = 0) -> tuple[Array, Array]:
    """Calls on single paths, ``each`` at a point: noise that differs between points, and many zeros."""
    generator = np.random.default_rng(seed)
    x = np.repeat(generator.uniform(0.5, 1.5, (points, 1)), each, axis=0)
    return x, np.maximum(x + 0.2 * generator.standard_normal(x.shape) - 1.0, 0.0)


def test_rows_are_numbered_by_their_first_place() -> None:
    assert numbered(np.array([[3.0, 1.0], [1.0, 2.0], [3.0, 1.0], [1.0, 1.0]])).tolist() == [0, 1, 0, 2]


def test_noise_is_that_of_the_paths() -> None:
    """Over many datasets the estimate is right, and off by its standard error."""
    exact = float(paths(200_000, 2, seed=1)[1].reshape(-1, 2).var(axis=1, ddof=1).mean())
    found = [replicate_noise(x, {"value": y}) for x, y in (paths(100, 4, seed) for seed in range(2, 202))]
    known = np.array([(noise["value"].square, noise["value"].error) for noise in found if noise is not None])
    assert len(known) == 200
    off, error = known[:, 0] - exact, known[:, 1]
    assert abs(off.mean()) < 4.0 * off.std() / np.sqrt(200)
    assert off.std() == pytest.approx(error.mean(), rel=0.2)


def test_equal_normal_noise_bounds_the_error_from_below() -> None:
    """A few groups that happen to be equally wide do not prove a sure estimate."""
    x = np.repeat(np.arange(10.0)[:, None], 2, axis=0)
    y = np.tile([-1.0, 1.0], 10)[:, None] + x**2
    noise = replicate_noise(x, {"value": y})
    assert noise is not None
    assert (noise["value"].square, noise["value"].error) == pytest.approx((2.0, 2.0 * np.sqrt(0.2)))


def test_copies_are_not_replicates() -> None:
    x, y = paths(100, 1)
    assert (y == 0.0).sum() > 20
    assert (
        copies(np.repeat(x, 10, axis=0), [np.repeat(y, 10, axis=0)]).reshape(100, 10).sum(axis=1).tolist() == [9] * 100
    )
    assert copies(np.tile(x, (2, 1)), [np.tile(y, (2, 1))]).tolist() == [False] * 100 + [True] * 100
    assert not copies(np.tile(x, (2, 1)), [np.tile(y, (2, 1)), np.arange(200.0)[:, None]]).any()


def test_equal_payoffs_of_many_points_are_no_copies() -> None:
    x, y = paths(100, 4)
    assert ((y.reshape(-1, 4) == 0.0).sum(axis=1) > 1).sum() > 20
    assert not copies(x, [y]).any()


def test_equal_labels_do_not_prove_that_there_is_no_noise() -> None:
    x, y = paths(100, 1)
    assert replicate_noise(np.repeat(x, 3, axis=0), {"value": np.sign(np.repeat(y, 3, axis=0))}) is None


def test_too_few_replicates_say_nothing() -> None:
    x, y = paths(FEWEST + 1, 2)
    y += np.arange(len(y))[:, None]
    assert replicate_noise(x[:-2], {"value": y[:-2]}) is not None
    assert replicate_noise(x[:-3], {"value": y[:-3]}) is None
    assert replicate_noise(x[::2], {"value": y[::2]}) is None
