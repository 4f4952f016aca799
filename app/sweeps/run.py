"""A sweep: the dense network of every seed, then all cases in parallel, then latencies one by one, then one report.

A case that has its record in the folder, and its graph if it was done, is not run again, so that a sweep goes on where
it was stopped and a changed specification runs only what changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.errors import Unavailable
from app.files import read_json
from app.pipeline.plan import JobProgress
from app.sweeps.case import record_path, run_case
from app.sweeps.record import Failed, Measured, Skipped
from app.sweeps.spec import Case, SweepSpec
from pricing.domain import Box
from pricing.specs.base import dump
from pricing.types import Array
from surrogate.runtime import Session, open_session

# Rows of one call, and how often it is timed: a request of one trade, and a risk report's chunk.
BATCHES = {1: 200, 1024: 20}
# Calls before the clock starts: the first ones allocate.
WARM_UP = 5


# Seconds of one call by its rows.
Latency = dict[str, float]
AnyRecord = Measured | Skipped | Failed


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A case with its record."""

    case: Case
    record: AnyRecord

    @property
    def done(self) -> bool:
        """Whether there is a network."""
        return isinstance(self.record, Measured)


def run_cases(spec: SweepSpec, folder: Path, *, executor: Executor, progress: JobProgress) -> list[Outcome]:
    """All cases, dense networks first; those that depend on a dense network that failed fail with it.

    Raises:
        Unavailable: a worker died; what has finished is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_seed = [spec.cases(seed) for seed in spec.seeds]
    dense = _run([cases[0] for cases in by_seed], folder, executor, _step(progress, "dense"))
    outcomes, ready = list(dense), list[Case]()
    for first, (_, *others) in zip(dense, by_seed, strict=True):
        if first.done:
            ready += others
            continue
        status = "skipped" if isinstance(first.record, Skipped) else "failed"
        sentence = f"the dense network of seed {first.case.build.seed} {status}: {first.record.sentence}"
        outcomes += [Outcome(case=case, record=Failed(sentence=sentence)) for case in others]
    outcomes += _run(ready, folder, executor, _step(progress, "cases"))
    return outcomes


def _run(cases: Sequence[Case], folder: Path, executor: Executor, tell: Callable[[float], None]) -> list[Outcome]:
    """The cases in their order, those without a record run by the executor."""
    paths = [record_path(case, folder) for case in cases]
    kept = {path: _record(read_json(path)) for path in paths if path.exists()}
    # Latencies are measured anew, so a network whose graph is gone is made again.
    records = {
        path: record
        for path, record in kept.items()
        if not isinstance(record, Measured) or path.with_suffix(".onnx").exists()
    }
    missing = {path: case for path, case in zip(paths, cases, strict=True) if path not in records}
    # A cluster's workers have another working directory.
    shared = folder.resolve()
    waiting = {executor.submit(run_case, dump(case), shared): path for path, case in missing.items()}
    tell(len(records) / max(1, len(cases)))
    try:
        for future in as_completed(waiting):
            records[waiting[future]] = _record(future.result())
            tell(len(records) / len(cases))
    except BrokenExecutor as error:
        # What broke a worker before it could run anything is the last line of the traceback that it sent.
        why = str(error.__cause__ or error).strip().rstrip("'\"").splitlines()[-1]
        raise Unavailable(
            f"a worker died ({why}); finished cases are kept in {folder}: run the same command again, with fewer "
            "--workers if memory ran out"
        ) from error
    return [Outcome(case=case, record=records[path]) for path, case in zip(paths, cases, strict=True)]


def _record(plain: Mapping[str, Any]) -> AnyRecord:
    """A record from plain data, as files and workers hold it."""
    record: AnyRecord = msgspec.convert(plain, AnyRecord)
    return record


def measure_latencies(outcomes: Sequence[Outcome], folder: Path, *, progress: JobProgress) -> list[Latency | None]:
    """Median seconds of one call of every network's graph by rows, on one thread, nothing else running.

    Measured anew in every run, all in one sitting: only then do they compare.
    """
    tell = _step(progress, "latency")
    latencies: list[Latency | None] = []
    for i, outcome in enumerate(outcomes):
        model = record_path(outcome.case, folder).with_suffix(".onnx")
        latencies.append(_latency(model, outcome.case.build.box) if outcome.done else None)
        tell((i + 1) / len(outcomes))
    return latencies


def _latency(model: Path, box: Box) -> Latency:
    session = open_session(model.read_bytes(), threads=1)
    latency = {}
    for rows, repeats in BATCHES.items():
        features = box.from_uniforms(np.random.default_rng(0).random((rows, box.dimension)))
        seconds = [_timed(session, features) for _ in range(WARM_UP + repeats)]
        latency[str(rows)] = float(np.median(seconds[WARM_UP:]))
    return latency


def _timed(session: Session, features: Array) -> float:
    start = time.perf_counter()
    session.run(["value", "delta", "gamma"], {"features": features})
    return time.perf_counter() - start


def _step(progress: JobProgress, name: str) -> Callable[[float], None]:
    """Progress of one step of the sweep."""
    return lambda share: progress(name, share)
