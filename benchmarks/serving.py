"""Requests a second and latency of the price route, beside a constant answer of the same size from the same server.

    python benchmarks/serving.py [--json] [--smoke] [--against CHECKOUT]

The model is a 7-32-32-1 SiLU network with value, delta and full gamma in float64. Each case runs against our server and
against a bare ASGI callable that reads the body and answers fixed bytes, in alternating rounds on the same machine; the
ratio of the two says how much of what uvicorn can do is left after pricing. With ``--against`` the other side is
`sobolite serve` of another checkout: the ratio says what a change has cost. The client is wrk where it is installed,
otherwise asyncio in this process, which then is the slower side for one-row requests. Below that, what fewer outputs
save in the runtime alone: the time of all three over that of some, each of them in its own session.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from app.inference.predictor import DEFAULT_OUTPUTS, Predictor, load_predictor
from app.registry.registry import Registry
from pricing.domain import Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.artifact.make import make_artifact
from surrogate.artifact.manifest import Provenance
from surrogate.evaluation.evaluate import evaluate
from surrogate.functions.network import initialise
from surrogate.spec import EvaluationSpec

ROOT = Path(__file__).parent.parent
WIDTHS = (7, 32, 32, 1)
CASES = {"1 row x 32 connections": (1, 32), "1024 rows x 4 connections": (1024, 4)}
ROUNDS = 3
# Rows and runs in a round of the runtime alone, and what is asked for.
RUNS = {1: 2000, 512: 50}
FEWER: dict[str, Sequence[str]] = {"value": ("value",), "value and delta": ("value", "delta")}
START_SECONDS = 60.0
ROUTE = "/v1/models/benchmark/price"
PERCENTILES = re.compile(r"(50|99)%\s+([\d.]+)(us|ms|s)")
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

Result = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Seconds of a round, how many there are, and another checkout to compare with."""

    seconds: float
    rounds: int
    against: Path | None


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI callable to compare with: read the body, answer ANSWER_BYTES zeros."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    size = int(os.environ["ANSWER_BYTES"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(size)})


def publish(root: Path) -> None:
    """A registry that holds one untrained network: its speed is that of a trained one."""
    assets = WIDTHS[0]
    identity = tuple(tuple(float(i == j) for j in range(assets)) for i in range(assets))
    problem = PricingProblem(
        process=Bachelier(volatilities=(20.0,) * assets, correlation=identity),
        payoff=Call(weights=(1.0 / assets,) * assets, strike=100.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(50.0,) * assets, upper=(150.0,) * assets),),
    )
    network = initialise(WIDTHS, "silu", generator=torch.Generator().manual_seed(0))
    artifact = make_artifact(
        network,
        name="benchmark",
        problem=problem,
        report=evaluate(network, problem, EvaluationSpec(samples=16), seed=0),
        provenance=Provenance(build={}, seed=0, simulated_paths=0),
    )
    Registry(root).publish("benchmark", artifact, job_id="benchmark")


@contextmanager
def server(command: Sequence[str], **environment: str) -> Iterator[int]:
    """A server process of a module on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *command, "--port", str(port)], env=os.environ | environment
    )
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Return as soon as the port takes connections."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"no server on port {port} after {START_SECONDS} s")


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """One request and the body of its answer."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode())
    return await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def load(port: int, request: bytes, connections: int, seconds: float) -> Result:
    """Keep every connection busy and time each exchange."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        while (start := time.perf_counter()) < end:
            await exchange(reader, writer, request)
            latencies.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
    return {"requests_per_second": len(latencies) / seconds, "p50_ms": float(p50), "p99_ms": float(p99)}


def wrk(port: int, body: bytes, connections: int, seconds: float) -> Result:
    """The same load by wrk."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = io.open("{folder}/body"):read("*a")\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
        )
        url = f"http://127.0.0.1:{port}{ROUTE}"
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--latency",
            "-s",
            str(script),
            url,
        ]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    percentile = {match[1]: float(match[2]) * MILLISECONDS[match[3]] for match in PERCENTILES.finditer(text)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or "Non-2xx" in text:
        raise RuntimeError(text)
    return {"requests_per_second": float(rate[1]), "p50_ms": percentile["50"], "p99_ms": percentile["99"]}


def measure(port: int, body: bytes, connections: int, seconds: float) -> Result:
    """Load one server by the best client there is."""
    if shutil.which("wrk"):
        return wrk(port, body, connections, seconds)
    return asyncio.run(load(port, http(body), connections, seconds))


def http(body: bytes) -> bytes:
    """A whole POST request."""
    return b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        ROUTE.encode(),
        len(body),
        body,
    )


async def first_answer(port: int, body: bytes) -> bytes:
    """One answer, outside of the measurement: it loads the model and tells the size."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    answer = await exchange(reader, writer, http(body))
    writer.close()
    return answer


def serve(checkout: Path, registry: Path) -> Any:
    """`sobolite serve` of a checkout."""
    environment = {"SOBOLITE_REGISTRY": str(registry), "SOBOLITE_DRAIN_SECONDS": "0", "SOBOLITE_LOG_LEVEL": "warning"}
    return server(("app.cli", "serve", "--no-worker"), PYTHONPATH=str(checkout), **environment)


def answers_of(size: int) -> Any:
    """A server of constant answers."""
    command = ("uvicorn", "serving:constant", "--app-dir", str(ROOT / "benchmarks"), "--log-level", "warning")
    return server((*command, "--no-access-log"), ANSWER_BYTES=str(size))


def compare(port: int, rows: int, connections: int, *, effort: Effort, registry: Path) -> dict[str, Any]:
    """Medians of alternating rounds against our server and the other one, and of their ratios."""
    features = np.random.default_rng(0).uniform(60.0, 140.0, (rows, WIDTHS[0]))
    body = json.dumps({"inputs": features.tolist()}).encode()
    size = len(asyncio.run(first_answer(port, body)))
    ours, theirs = [], []
    with answers_of(size) if effort.against is None else serve(effort.against, registry) as other:
        asyncio.run(first_answer(other, body))
        for _ in range(effort.rounds):
            ours.append(measure(port, body, connections, effort.seconds))
            theirs.append(measure(other, body, connections, effort.seconds))
    result: dict[str, Any] = {key: statistics.median(one[key] for one in ours) for key in ours[0]}
    result["rows_per_second"] = rows * result["requests_per_second"]
    result["other"] = {key: statistics.median(one[key] for one in theirs) for key in theirs[0]}
    key = "requests_per_second"
    ratios = [one[key] / other[key] for one, other in zip(ours, theirs, strict=True)]
    result |= {"share_of_other": statistics.median(ratios), "shares": sorted(ratios)}
    return result


def seconds_of(predictor: Predictor, rows: int, outputs: Sequence[str], runs: int) -> float:
    """Least seconds of a run over rounds."""
    features = np.random.default_rng(0).uniform(60.0, 140.0, (rows, WIDTHS[0]))
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(runs):
            predictor.run(features, outputs)
        rounds.append((time.perf_counter() - start) / runs)
    return min(rounds)


def fewer_outputs(predictor: Predictor, share: float) -> dict[str, float]:
    """Time of value, delta and gamma over that of fewer outputs, by rows and outputs; ``share`` of the runs."""
    ratios = {}
    for rows, most in RUNS.items():
        runs = max(1, round(share * most))
        whole = seconds_of(predictor, rows, DEFAULT_OUTPUTS, runs)
        for name, outputs in FEWER.items():
            ratios[f"{rows} rows, {name}"] = whole / seconds_of(predictor, rows, outputs, runs)
    return ratios


def main() -> None:
    """Measure every case and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="a fraction of a second a round, to see that it runs")
    parser.add_argument("--against", type=Path, help="another checkout, whose server is the other side")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    against = None if options.against is None else options.against.absolute()
    effort = Effort(seconds=0.2 if options.smoke else 5.0, rounds=options.rounds, against=against)
    with tempfile.TemporaryDirectory() as root:
        publish(Path(root))
        with serve(ROOT, Path(root)) as port:
            cases = {name: compare(port, *case, effort=effort, registry=Path(root)) for name, case in CASES.items()}
        predictor = load_predictor(Path(root) / "benchmark" / "1", provider="cpu")
        ratios = fewer_outputs(predictor, 0.02 if options.smoke else 1.0)
    if options.json:
        print(
            json.dumps({"client": "wrk" if shutil.which("wrk") else "asyncio", "cases": cases, "fewer_outputs": ratios})
        )
        return
    for name, case in cases.items():
        print(
            f"{name}: {case['requests_per_second']:,.0f} requests/s, {case['rows_per_second']:,.0f} rows/s, "
            f"p50 {case['p50_ms']:.2f} ms, p99 {case['p99_ms']:.2f} ms; "
            f"{case['share_of_other']:.1%} ({case['shares'][0]:.1%} to {case['shares'][-1]:.1%}) of the rate of "
            f"{'a constant answer' if against is None else against.name}"
        )
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.1f} times as fast as with gamma")


if __name__ == "__main__":
    main()
