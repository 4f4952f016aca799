"""Requests merged into calls of the runtime: small ones of one event-loop turn together, large ones in chunks.

A request of fewer than `LARGE_ROWS` rows waits for no timer: every request whose parsing ended in the same turn of the
event loop is answered by one call at the turn's end. A larger one runs alone, in chunks on a thread pool, so that it
delays the small ones by at most the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import NamedTuple, TypeVar

import numpy as np

from app.inference.predictor import DEFAULT_OUTPUTS, Answer, Predictor, rows_of
from app.telemetry import Metrics
from pricing.types import Array

# Below this a call costs less than handing it to a thread; from here on it is worth a thread of its own.
LARGE_ROWS = 256
# The runtime scales best over threads with calls of 256 to 512 rows.
CHUNK_ROWS = 512

Result = TypeVar("Result")
# Makes what the route wants of a part of the answer; the number is the part's first row in the request.
Finish = Callable[[Answer, int], Result]


class _Waiting(NamedTuple):
    features: Array
    outputs: Sequence[str]
    future: asyncio.Future[Answer]
    since: float


class Batcher:
    """Merges calls; used from one event loop."""

    def __init__(self, metrics: Metrics, *, threads: int, batch_rows: int) -> None:
        self._metrics = metrics
        self._batch_rows = batch_rows
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="price")
        self._waiting: dict[Predictor, list[_Waiting]] = {}

    def close(self) -> None:
        """Finish what runs and end the threads."""
        self._pool.shutdown()

    async def run(
        self,
        predictor: Predictor,
        features: Array,
        finish: Finish[Result],
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
    ) -> list[Result]:
        """What ``finish`` makes of the answer's parts, in order: one part, or one per chunk, made on the pool.

        Shape: features batch feature.
        """
        start = time.perf_counter()
        if len(features) < LARGE_ROWS:
            return [finish(await self._together(predictor, _Waiting(features, outputs, self._future(), start)), 0)]
        loop = asyncio.get_running_loop()

        def chunk(first: int) -> Result:
            self._metrics.queue.observe(time.perf_counter() - start)
            return finish(self._call(predictor, features[first : first + CHUNK_ROWS], outputs, 1), first)

        firsts = range(0, len(features), CHUNK_ROWS)
        return await asyncio.gather(*(loop.run_in_executor(self._pool, chunk, first) for first in firsts))

    @staticmethod
    def _future() -> asyncio.Future[Answer]:
        return asyncio.get_running_loop().create_future()

    def _together(self, predictor: Predictor, one: _Waiting) -> asyncio.Future[Answer]:
        waiting = self._waiting.setdefault(predictor, [])
        if not waiting:
            asyncio.get_running_loop().call_soon(self._flush, predictor)
        waiting.append(one)
        return one.future

    def _flush(self, predictor: Predictor) -> None:
        """Answer the first ``batch_rows`` rows that wait; the rest in the next turn."""
        waiting = self._waiting.pop(predictor)
        ends = list(accumulate(len(one.features) for one in waiting))
        count = max(1, bisect_right(ends, self._batch_rows))
        batch, rest = waiting[:count], waiting[count:]
        if rest:
            self._waiting[predictor] = rest
            asyncio.get_running_loop().call_soon(self._flush, predictor)
        self._metrics.queue.observe(time.perf_counter() - batch[0].since)
        try:
            features = batch[0].features if count == 1 else np.concatenate([one.features for one in batch])
            outputs = batch[0].outputs
            if any(one.outputs != outputs for one in batch):
                asked = set().union(*(one.outputs for one in batch))
                outputs = tuple(name for name in predictor.sizes if name in asked)  # each takes its own of them
            answer = self._call(predictor, features, outputs, count)
        except Exception as error:  # noqa: BLE001  the failure belongs to every request of the batch
            for one in batch:
                if not one.future.done():
                    one.future.set_exception(error)
            return
        for one, end in zip(batch, ends, strict=False):
            if not one.future.done():  # its client may have gone
                one.future.set_result(rows_of(answer, slice(end - len(one.features), end)))

    def _call(self, predictor: Predictor, features: Array, outputs: Sequence[str], requests: int) -> Answer:
        start = time.perf_counter()
        answer = predictor.run(features, outputs)
        self._metrics.compute.observe(time.perf_counter() - start)
        self._metrics.batch_rows.observe(len(features))
        self._metrics.of_model(predictor.name)[0].inc(len(features))
        self._metrics.batch_requests.observe(requests)
        return answer
