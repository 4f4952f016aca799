"""Does a running job slow down prices? Latency of one-row requests with the machine idle and while a job trains.

    python benchmarks/latency_under_load.py [--json] [--smoke]

One client sends one-row requests at a steady pace to `sobolite serve` (one API process, one worker process), before,
during and after a train job that would run for hours. The target is a p99 under load within 3 times the idle one. The
job is then cancelled, and the time until its child process is gone is measured: the target is one second.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import psutil

from app.pipeline.build import build
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from pricing.specs.base import load

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
REQUESTS, SMOKE_REQUESTS = 5000, 100
# Requests of one window: a percentile is the median over windows, which one hiccup of a shared machine does not move.
WINDOW = 500
# Between two requests: far from saturation, so that waiting is the machine's and not the queue's.
PAUSE_SECONDS = 0.003
START_SECONDS = 60.0
TARGET_RATIO = 3.0
TARGET_CANCEL_SECONDS = 1.0
# Trains until it is cancelled.
ENDLESS = {"kind": "adam", "epochs": 1_000_000}
BRIEF = {"kind": "adam", "epochs": 1}


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer."""
        headers = {"content-type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        data = response.read()
        assert response.status < 300, data
        return json.loads(data)


@contextmanager
def server(registry: Path) -> Iterator[Client]:
    """`sobolite serve` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--port", str(port), "--registry", str(registry)]
    (empty := registry / "none").mkdir(parents=True, exist_ok=True)
    environment = {"SOBOLITE_BUNDLED": str(empty), "SOBOLITE_LOG_LEVEL": "warning"}
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        until(lambda: listening(port))
        yield Client(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def listening(port: int) -> bool:
    """Whether the server takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], object]) -> float:
    """Wait for a condition and return the seconds it took."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > START_SECONDS:
            raise TimeoutError("the server or its job does not get ready")
        time.sleep(0.005)
    return time.perf_counter() - start


def step_runs(job: str) -> bool:
    """Whether a child process of the job exists."""
    commands = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return any(job in command and "app.jobs.child" in command for command in commands)


def latencies(client: Client, path: str, row: list[float], requests: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Milliseconds of each request."""
    times = []
    for _ in range(requests):
        start = time.perf_counter()
        client.ask("POST", path, {"inputs": [row]})
        times.append(time.perf_counter() - start)
        time.sleep(PAUSE_SECONDS)
    return 1e3 * np.array(times)


def measure(requests: int) -> dict[str, Any]:
    """Build a model, serve it, and price with and without a job beside it."""
    spec = tomllib.loads(EXAMPLE.read_text())
    model = load(BuildSpec, spec | {"training": {"optimisers": [BRIEF]}})
    with TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "registry")
        registry.publish(model.name, build(model, Path(folder) / "build"), job_id="benchmark")
        registry.close()
        with server(Path(folder) / "registry") as client:
            path = f"/v1/models/{model.name}/price?version=1"  # too brief to be a champion
            row = [1.0] * model.box.dimension
            latencies(client, path, row, SMOKE_REQUESTS)  # warm up
            idle = latencies(client, path, row, requests)
            endless = {"kind": "train", "spec": spec | {"training": {"optimisers": [ENDLESS]}}}
            job = client.ask("POST", "/v1/jobs", endless)["id"]
            until(lambda: client.ask("GET", f"/v1/jobs/{job}")["step"] == "train" and step_runs(job))
            busy = latencies(client, path, row, requests)
            assert client.ask("GET", f"/v1/jobs/{job}")["state"] == "running"
            start = time.perf_counter()
            client.ask("POST", f"/v1/jobs/{job}/cancel")
            until(lambda: not step_runs(job))
            cancel = time.perf_counter() - start
            idle = np.concatenate([idle, latencies(client, path, row, requests)])
    return summary(idle, busy, cancel)


def summary(idle: np.ndarray[Any, Any], busy: np.ndarray[Any, Any], cancel: float) -> dict[str, Any]:
    """Percentiles in milliseconds, medians over windows with the range of the p99, and what they say of the targets."""
    result: dict[str, Any] = {}
    for name, times in (("idle_ms", idle), ("busy_ms", busy)):
        windows = np.array_split(times, max(1, len(times) // WINDOW))
        p50, p99 = (np.array([np.percentile(window, q) for window in windows]) for q in (50, 99))
        spread = [round(float(edge), 3) for edge in (p99.min(), p99.max())]
        result[name] = {"p50": round(float(np.median(p50)), 3), "p99": round(float(np.median(p99)), 3), "range": spread}
    ratio = result["busy_ms"]["p99"] / result["idle_ms"]["p99"]
    return result | {
        "p99_ratio": round(ratio, 2),
        "p99_target_ratio": TARGET_RATIO,
        "cancel_seconds": round(cancel, 3),
        "cancel_target_seconds": TARGET_CANCEL_SECONDS,
        "targets_met": ratio <= TARGET_RATIO and cancel <= TARGET_CANCEL_SECONDS,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="few requests: does it run?")
    arguments = parser.parse_args()
    result = measure(SMOKE_REQUESTS if arguments.smoke else REQUESTS)
    if arguments.json:
        print(json.dumps(result))
    else:
        show(result)
    if not (arguments.smoke or result["targets_met"]):
        sys.exit(1)


def show(result: dict[str, Any]) -> None:
    """Print for people."""
    for name in ("idle_ms", "busy_ms"):
        low, high = result[name]["range"]
        print(
            f"{name[:4]}: p50 {result[name]['p50']:.2f} ms, p99 {result[name]['p99']:.2f} ms ({low:.2f} to {high:.2f})"
        )
    print(f"p99 with a job running: {result['p99_ratio']:.2f} times idle (target {TARGET_RATIO:g})")
    print(
        f"cancel to the end of the job's process: {result['cancel_seconds']:.2f} s (target {TARGET_CANCEL_SECONDS:g})"
    )


if __name__ == "__main__":
    main()
