"""Submissions whose fields contradict one another or the version that they name: refused at once, not by a step."""

from __future__ import annotations

import tomllib
from typing import Any

import httpx
import pytest

from tests.app.conftest import TINY

pytestmark = pytest.mark.anyio
MODEL = "bachelier-basket-7"
SECOND_ORDER = {"loss": {"order": 1}, "optimisers": [{"kind": "levenberg_marquardt"}]}
# Prunings of a network of any of the shapes below, and the field that is wrong with each.
PRUNINGS: dict[str, tuple[dict[str, Any], str]] = {
    "the case": ({"method": "random", "sparsity": 0.3, "stages": 3, "initial_sparsity": 0.9}, "initial_sparsity"),
    "a start beyond parameters": (
        {"method": "random", "parameters": 30, "stages": 3, "initial_sparsity": 0.9999},
        "initial_sparsity",
    ),
    "no weights left": ({"method": "magnitude", "sparsity": 0.9999}, "sparsity"),
    "no nodes left": ({"method": "significance", "sparsity": 0.9999}, "sparsity"),
    "too few parameters": ({"method": "significance", "parameters": 1}, "parameters"),
    "too few for biases": ({"method": "rigl", "parameters": 3}, "parameters"),
    "nothing to factor": ({"method": "alds", "sparsity": 0.9999}, "sparsity"),
    "nodes rewound": ({"method": "pfp", "sparsity": 0.3, "retraining": "rewind"}, "retraining"),
    "a greedy block": ({"method": "obs_greedy", "sparsity": 0.3, "block": 1 << 20}, "block"),
}
# Changes of a build.
BUILDS: dict[str, tuple[dict[str, Any], str]] = {
    "more axes than features": ({"network": {"inputs": "differential_pca", "axes": 999}}, "network.axes"),
    "a seed below": ({"seed": -(1 << 63)}, "seed"),
    "a seed beyond": ({"seed": 1 << 63}, "seed"),
}


async def refused(bundled: httpx.AsyncClient, kind: str, spec: dict[str, Any], path: str) -> None:
    """The submission is refused for the field, and nothing is queued."""
    answer = await bundled.post("/v1/jobs", json={"kind": kind, "spec": spec})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["path"].endswith(path), problem
    assert path.rpartition(".")[2] in problem["detail"]
    assert (await bundled.get("/v1/jobs")).json() == {"jobs": []}


@pytest.mark.parametrize("name", PRUNINGS)
async def test_a_pruning_that_cannot_be_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    pruning, field = PRUNINGS[name]
    await refused(bundled, "train", tomllib.loads(TINY) | {"pruning": pruning}, f"spec.pruning.{field}")
    await refused(bundled, "prune", {"model": MODEL, "pruning": pruning}, f"spec.pruning.{field}")
    await refused(bundled, "retrain", {"model": MODEL, "changes": {"pruning": pruning}}, f"changes.pruning.{field}")


@pytest.mark.parametrize("name", BUILDS)
async def test_a_build_that_cannot_be_is_refused(bundled: httpx.AsyncClient, name: str) -> None:
    changes, field = BUILDS[name]
    await refused(bundled, "train", tomllib.loads(TINY) | changes, f"spec.{field}")
    await refused(bundled, "retrain", {"model": MODEL, "changes": changes}, field)


@pytest.mark.parametrize("seed", [0, (1 << 63) - 1])
async def test_the_ends_of_a_range_are_taken(bundled: httpx.AsyncClient, seed: int) -> None:
    answer = await bundled.post("/v1/jobs", json={"kind": "train", "spec": tomllib.loads(TINY) | {"seed": seed}})
    assert answer.status_code == 202, answer.text
