"""A user's session over HTTP on the bundled model, with a real server and a real worker: prune, retrain, pull."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from surrogate.runtime import open_session

MODEL = "bachelier-basket-7"
# Jobs of seconds on an idle machine.
PATIENCE_SECONDS = 300.0
FINE_TUNING = {"optimisers": [{"kind": "levenberg_marquardt", "starts": 1, "short": 1, "finalists": 1, "long": 30}]}
# Sobolev fine-tuning on the network's own answers, as in the talk's fourth column.
OWN_DATA = {"model": f"{MODEL}@1", "samples": 256, "order": 2}
STRIKE = {"name": "strike", "lower": [1.0], "upper": [1.3]}
SPOT = {"name": "spot", "unit": "currency", "lower": [0.32] * 7, "upper": [1.68] * 7}
FEW_PATHS = {"labels.paths": 1024, "labels.samples": 256, "evaluation.samples": 1024}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """Of `sobolite serve` with its worker, on a registry of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, "SOBOLITE_REGISTRY": str(tmp_path / "registry"), "SOBOLITE_DRAIN_SECONDS": "0"}
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--port", str(port)]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as opened:
            wait_until(lambda: ready(opened), process)
            yield opened
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        log.close()


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process is None or process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def submit(client: httpx.Client, kind: str, spec: dict[str, Any]) -> str:
    answer = client.post("/v1/jobs", json={"kind": kind, "spec": {"model": MODEL, **spec}})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def finished(client: httpx.Client, location: str) -> int:
    """The version that a job has made."""
    wait_until(lambda: client.get(location).json()["state"] not in ("queued", "running"))
    job = client.get(location).json()
    assert job["state"] == "succeeded", job["error"]
    return int(job["version"])


def test_prune_fine_tune_retrain_and_pull(client: httpx.Client) -> None:
    target = {"sparsity": 0.3, "fine_tuning": FINE_TUNING}
    jobs = {
        method: submit(client, "prune", {"version": 1, "pruning": {"method": method, **target}, "labels": OWN_DATA})
        for method in ("significance", "chita")
    }
    wide = {"problem.features": [SPOT, STRIKE], **FEW_PATHS}
    jobs["retrain"] = submit(client, "retrain", {"version": 1, "changes": wide})
    versions = {name: finished(client, location) for name, location in jobs.items()}
    assert sorted(versions.values()) == [2, 3, 4]
    for name, version in versions.items():
        at = f"/v1/models/{MODEL}/versions/{version}"
        manifest = client.get(at).json()
        assert manifest["provenance"]["parent"] == {"model": MODEL, "version": 1}
        check_graph(client.get(f"{at}/model.onnx").content, manifest, client.get(f"{at}/report").json())
        assert manifest["accuracy"]["value"]["r2"] > 0.9, name
    pruned = client.get(f"/v1/models/{MODEL}/versions/{versions['chita']}").json()
    assert pruned["network"]["parameters"] < 40
    assert pruned["provenance"]["simulated_paths"] == 33280, "no path was simulated anew"
    retrained = client.get(f"/v1/models/{MODEL}/versions/{versions['retrain']}").json()
    assert retrained["provenance"]["retraining"]["changes"] == wide
    assert retrained["accuracy"]["gamma"]["r2"] > 0.999
    assert [feature["name"] for feature in retrained["features"]] == ["spot", "strike"]
    price = f"/v1/models/{MODEL}/price?version={versions['retrain']}"
    cheap, dear = (
        client.post(price, json={"inputs": {"spot": [[1.1] * 7], "strike": [k]}}).json()["value"][0] for k in (1.3, 1.0)
    )
    assert cheap < dear


def check_graph(model: bytes, manifest: dict[str, Any], report: dict[str, Any]) -> None:
    """The file answers value, delta and gamma in the middle of its Box, as good as the report says."""
    middle = [
        0.5 * (low + high)
        for part in manifest["features"]
        for low, high in zip(part["lower"], part["upper"], strict=True)
    ]
    value, delta, gamma = open_session(model).run(["value", "delta", "gamma"], {"features": np.array([middle])})
    assert value.shape == (1,)
    assert delta.shape == (1, len(middle))
    assert gamma.shape == (1, len(middle), len(middle))
    assert np.isfinite(gamma).all()
    assert report["accuracy"]["gamma"]["r2"] == manifest["accuracy"]["gamma"]["r2"]


def test_a_change_that_does_not_fit_is_refused_by_its_path(client: httpx.Client) -> None:
    for kind, spec, path in (
        ("retrain", {"changes": {"problem.process.rte": 0.03}}, "spec.changes.problem.process"),
        ("retrain", {"changes": {"name": "other"}}, "spec.changes.name"),
        ("prune", {"pruning": {"method": "chita", "sparsity": 0.3}, "labels": {"model": "a b"}}, "spec.labels.model"),
    ):
        answer = client.post("/v1/jobs", json={"kind": kind, "spec": {"model": MODEL, **spec}})
        assert (answer.status_code, answer.json()["path"]) == (422, path), answer.text
    assert client.get("/v1/jobs").json()["jobs"] == []
