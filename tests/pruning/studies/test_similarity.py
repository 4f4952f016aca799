from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pricing.domain import Box, Feature
from pricing.types import Array
from pruning.errors import PruningError
from pruning.studies.similarity import TOLERANCE, agreement, informative, overlap, saliency, similarity
from surrogate.evaluation.accuracy import Prediction, predict
from surrogate.functions.network import Network, initialise

BOX = Box(features=(Feature(name="spot", lower=(0.5,) * 6, upper=(1.5,) * 6),))


@pytest.fixture
def points() -> Array:
    return BOX.from_uniforms(np.random.default_rng(0).random((256, 6)))


def network(seed: int) -> Network:
    return initialise((6, 8, 8, 1), "silu", generator=torch.Generator().manual_seed(seed))


def scaled(prediction: Prediction, factor: float) -> Prediction:
    return Prediction(value=factor * prediction.value, delta=factor * prediction.delta, gamma=factor * prediction.gamma)


def test_a_network_is_like_itself(points: Array) -> None:
    answers = predict(network(0), points)
    found = similarity(answers, answers, points=points, box=BOX)
    assert found.r2 == found.agreement == dict.fromkeys(("value", "delta", "gamma"), 1.0)
    assert found.overlap == 1.0


def test_networks_that_have_nothing_to_do_with_each_other_overlap_as_often_as_chance(points: Array) -> None:
    pairs = [(predict(network(seed), points), predict(network(seed + 100), points)) for seed in range(40)]
    overlaps = [similarity(one, other, points=points, box=BOX).overlap for one, other in pairs]
    # Informative are 3 of 6. A pair is one draw, as its points have much the same order.
    assert abs(np.mean(overlaps) - 0.5) < 4 * np.std(overlaps, ddof=1) / np.sqrt(len(pairs))
    assert np.mean([similarity(one, other, points=points, box=BOX).r2["value"] for one, other in pairs]) < 0.0


def test_a_factor_moves_answers_and_no_features(points: Array) -> None:
    dense = predict(network(0), points)
    centre = dense.value - dense.value.mean()
    found = similarity(scaled(dense, 1.1), dense, points=points, box=BOX)
    # 1 - R2 of a V against V is (a - 1)^2 E V^2 / var V.
    expected = 1.0 - 0.1**2 * np.mean(dense.value**2) / np.mean(centre**2)
    assert found.r2["value"] == pytest.approx(expected)
    assert found.overlap == 1.0


def test_what_differs_within_the_tolerance_agrees() -> None:
    others = np.random.default_rng(0).normal(size=(1000, 3))
    spread = np.sqrt(others.var(axis=0).mean())
    for share, expected in ((0.99, 1.0), (1.01, 0.0)):
        assert agreement(others + share * TOLERANCE * spread, others) == expected
    half = np.where(np.arange(1000)[:, None] < 500, 2.0 * TOLERANCE * spread, 0.0)
    assert agreement(others + half, others) == 0.5


@given(st.integers(0, 1000), st.integers(1, 7), st.floats(0.1, 10.0))
def test_the_overlap_is_symmetric_within_one_and_blind_to_scale(seed: int, top: int, factor: float) -> None:
    one, other = np.random.default_rng(seed).random((2, 20, 7))
    found = overlap(one, other, top=top)
    assert found == overlap(other, one, top=top) == overlap(factor * one, other, top=top)
    # Of 7 features two choices of ``top`` have at least 2 top - 7 in common.
    assert max(0.0, (2 * top - 7) / top) - 1e-12 <= found <= 1.0 + 1e-12
    assert overlap(one, other, top=7) == pytest.approx(1.0)


def test_random_orders_overlap_as_often_as_chance() -> None:
    one, other = np.random.default_rng(0).random((2, 20_000, 7))
    # A hypergeometric count: mean 9/7 of 3, variance 3 (3/7) (4/7) (4/6).
    error = np.sqrt(3 * (3 / 7) * (4 / 7) * (4 / 6) / 20_000) / 3
    assert abs(overlap(one, other, top=3) - 3 / 7) < 4 * error


def test_the_saliency_is_what_a_share_of_the_feature_changes() -> None:
    gradient, points = np.array([[0.5, -2.0]]), np.array([[-3.0, 0.1]])
    np.testing.assert_allclose(saliency(gradient, points), [[1.5, 0.2]])


def test_the_upper_half_of_the_features_is_informative() -> None:
    assert [informative(features) for features in (1, 2, 3, 7, 50)] == [1, 1, 1, 3, 25]


def test_features_that_are_not_there_are_refused() -> None:
    with pytest.raises(PruningError, match="from 1 to what both have, got 4 of 3 and 3"):
        overlap(np.ones((2, 3)), np.ones((2, 3)), top=4)
    with pytest.raises(PruningError, match="got 1 of 3 and 2"):
        overlap(np.ones((2, 3)), np.ones((2, 2)), top=1)
