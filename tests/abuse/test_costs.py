"""Submissions that would take days, or more memory than there is: refused at once, with the estimate and what to lower.

Each of the table is a valid specification: only its cost is wrong with it.
"""

from __future__ import annotations

import io
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.abuse.costly import DATASET, PRUNE, RETRAIN, TRAIN
from tests.app.conftest import TINY

pytestmark = pytest.mark.anyio
# Refusals take milliseconds; this is for a machine with many other things to do.
PATIENCE_SECONDS = 2.0
MODEL = "bachelier-basket-7"


def changed(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A specification with other values at some paths."""
    result: dict[str, Any] = json.loads(json.dumps(spec))
    for path, value in changes.items():
        *steps, last = path.split(".")
        at = result
        for step in steps:
            at = at.setdefault(step, {})
        at[last] = value
    return result


async def refused(bundled: httpx.AsyncClient, kind: str, spec: dict[str, Any], limit: str) -> None:
    """The submission is refused at once for its cost, and nothing is queued."""
    began = time.monotonic()
    answer = await bundled.post("/v1/jobs", json={"kind": kind, "spec": spec})
    seconds = time.monotonic() - began
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:sobolite:problem:too-costly"), answer.text
    estimate, limits = problem["estimate"], problem["limits"]
    assert estimate[{"job_seconds": "seconds", "job_memory": "memory_bytes"}[limit]] > limits[limit]
    assert problem["path"].startswith("spec.")
    for told in ("SOBOLITE_JOB_SECONDS", "SOBOLITE_JOB_MEMORY", "Lower ", problem["path"].removeprefix("spec.")):
        assert told in problem["detail"]
    assert all(np.isfinite(list(estimate.values())))
    assert len(answer.content) < 2000
    assert seconds < PATIENCE_SECONDS
    assert (await bundled.get("/v1/jobs")).json() == {"jobs": []}


@pytest.mark.parametrize("name", TRAIN)
async def test_a_costly_build_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    changes, limit = TRAIN[name]
    await refused(bundled, "train", changed(tomllib.loads(TINY), changes), limit)


@pytest.mark.parametrize("name", PRUNE)
async def test_a_costly_prune_job_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    changes, limit = PRUNE[name]
    spec = {"model": MODEL, "pruning": {"method": "magnitude", "sparsity": 0.3}}
    await refused(bundled, "prune", changed(spec, changes), limit)


@pytest.mark.parametrize("name", RETRAIN)
async def test_a_costly_retrain_job_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    changes, limit = RETRAIN[name]
    await refused(bundled, "retrain", {"model": MODEL} | changes, limit)


@pytest.mark.parametrize("name", DATASET)
async def test_a_costly_build_from_a_dataset_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    changes, limit = DATASET[name]
    file, draws = io.BytesIO(), np.random.default_rng(1).uniform(size=(4096, 2))
    np.savez(file, x=draws, y=draws.sum(axis=1), dydx=np.ones_like(draws))
    answer = await bundled.post("/v1/datasets", files={"file": ("labels.npz", file.getvalue())})
    spec = {"name": "given", "seed": 1, "dataset": {"id": answer.json()["dataset"]}}
    await refused(bundled, "train", spec | changes, limit)


@pytest.mark.parametrize("kind", ["train", "prune", "retrain"])
async def test_small_jobs_are_taken_with_their_estimate(bundled: httpx.AsyncClient, kind: str) -> None:
    small = {
        "train": tomllib.loads(TINY),
        "prune": {"model": MODEL, "pruning": {"method": "magnitude", "sparsity": 0.3}},
        "retrain": {"model": MODEL, "changes": {"problem.payoff.strike": 1.05}},
    }
    answer = await bundled.post("/v1/jobs", json={"kind": kind, "spec": small[kind]})
    assert answer.status_code == 202, answer.text
    estimate = answer.json()["estimate"]
    assert 1.0 < estimate["seconds"] < 300.0
    assert 1 << 28 < estimate["memory_bytes"] < 1 << 31
    assert (await bundled.get(answer.headers["location"])).json()["estimate"] == estimate


async def test_every_example_is_taken(bundled: httpx.AsyncClient) -> None:
    for path in sorted((Path(__file__).parents[2] / "examples").glob("*.toml")):
        answer = await bundled.post("/v1/jobs", json={"kind": "train", "spec": tomllib.loads(path.read_text())})
        assert answer.status_code == 202, (path.stem, answer.text)
