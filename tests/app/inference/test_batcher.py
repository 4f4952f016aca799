from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import Histogram

from app.inference.batcher import CHUNK_ROWS, LARGE_ROWS, Batcher
from app.inference.predictor import DEFAULT_OUTPUTS, Answer, Predictor, load_predictor
from app.registry.registry import Registry
from app.settings import Settings
from app.telemetry import Metrics
from pricing.types import Array

pytestmark = pytest.mark.anyio

BATCH_ROWS = 300


@pytest.fixture
def predictor(settings: Settings) -> Predictor:
    return load_predictor(Registry(settings.registry).folder("basket", 1), provider="cpu")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def batcher(metrics: Metrics) -> Iterator[Batcher]:
    batcher = Batcher(metrics, threads=2, batch_rows=BATCH_ROWS)
    yield batcher
    batcher.close()


def features(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0.5, 1.5, (rows, 3))


def whole(answer: Answer, _: int) -> Answer:
    return answer


def calls(histogram: Histogram) -> tuple[int, int]:
    """Number of observations and their sum."""
    values = {sample.name.rpartition("_")[2]: sample.value for sample in next(iter(histogram.collect())).samples}
    return int(values["count"]), int(values["sum"])


def same(answer: Answer, predictor: Predictor, x: Array) -> None:
    alone = predictor.run(x)
    for name, array in alone.items():
        np.testing.assert_allclose(answer[name], array, rtol=1e-13, atol=1e-15)


async def test_requests_of_one_turn_are_one_call(predictor: Predictor, batcher: Batcher, metrics: Metrics) -> None:
    requests = [features(1 + i % 3, seed=i) for i in range(20)]
    answers = await asyncio.gather(*(batcher.run(predictor, x, whole) for x in requests))
    assert calls(metrics.batch_requests) == (1, 20)
    assert calls(metrics.batch_rows) == (1, sum(map(len, requests)))
    for (answer,), x in zip(answers, requests, strict=True):
        same(answer, predictor, x)


async def test_requests_of_different_turns_are_not_held_back(
    predictor: Predictor, batcher: Batcher, metrics: Metrics
) -> None:
    for seed in range(3):
        (answer,) = await batcher.run(predictor, features(1, seed), whole)
        same(answer, predictor, features(1, seed))
    assert calls(metrics.batch_requests) == (3, 3)


async def test_requests_for_different_outputs_share_a_call(
    predictor: Predictor, batcher: Batcher, metrics: Metrics
) -> None:
    x, y = features(2, 1), features(3, 2)
    (value,), (both,) = await asyncio.gather(
        batcher.run(predictor, x, whole, ("value",)), batcher.run(predictor, y, whole, ("value", "delta"))
    )
    np.testing.assert_allclose(value["value"], predictor.run(x)["value"], rtol=1e-13)
    np.testing.assert_allclose(both["delta"], predictor.run(y)["delta"], rtol=1e-13, atol=1e-15)
    assert calls(metrics.batch_requests) == (1, 2)


async def test_versions_do_not_mix(
    predictor: Predictor, batcher: Batcher, metrics: Metrics, settings: Settings
) -> None:
    other = load_predictor(Registry(settings.registry).folder("basket", 1), provider="cpu")
    await asyncio.gather(*(batcher.run(one, features(2), whole) for one in (predictor, other, predictor)))
    assert calls(metrics.batch_requests) == (2, 3)


async def test_a_merged_call_is_bounded(predictor: Predictor, batcher: Batcher, metrics: Metrics) -> None:
    """Ten requests of 100 rows under a bound of 300 are four calls, in order."""
    requests = [features(100, seed) for seed in range(10)]
    answers = await asyncio.gather(*(batcher.run(predictor, x, whole) for x in requests))
    assert calls(metrics.batch_requests) == (4, 10)
    for (answer,), x in zip(answers, requests, strict=True):
        same(answer, predictor, x)


async def test_large_requests_run_in_chunks_beside_small_ones(
    predictor: Predictor, batcher: Batcher, metrics: Metrics
) -> None:
    x = features(2 * CHUNK_ROWS + 1)
    large, (small,) = await asyncio.gather(
        batcher.run(predictor, x, lambda answer, first: (first, answer)), batcher.run(predictor, features(1), whole)
    )
    assert [(first, len(answer["value"])) for first, answer in large] == [
        (0, CHUNK_ROWS),
        (CHUNK_ROWS, CHUNK_ROWS),
        (2 * CHUNK_ROWS, 1),
    ]
    assert calls(metrics.batch_requests) == (4, 4)
    joined = {name: np.concatenate([answer[name] for _, answer in large]) for name in DEFAULT_OUTPUTS}
    same(joined, predictor, x)
    same(small, predictor, features(1))


@pytest.mark.parametrize("rows", [1, LARGE_ROWS])
async def test_a_failed_call_fails_its_requests_and_no_others(
    predictor: Predictor, batcher: Batcher, rows: int
) -> None:
    narrow = np.zeros((rows, 2))
    with pytest.raises(Exception, match=r"INVALID_ARGUMENT|[Dd]imension"):
        await batcher.run(predictor, narrow, whole)
    (answer,) = await batcher.run(predictor, features(1), whole)
    same(answer, predictor, features(1))


async def test_a_client_that_leaves_takes_nobody_along(predictor: Predictor, batcher: Batcher) -> None:
    gone = asyncio.create_task(batcher.run(predictor, features(1, 1), whole))
    stays = asyncio.create_task(batcher.run(predictor, features(1, 2), whole))
    await asyncio.sleep(0)
    gone.cancel()
    (answer,) = await stays
    same(answer, predictor, features(1, 2))
