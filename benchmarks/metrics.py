"""What counting one price request costs, in one process and where several share their numbers.

Run as ``python benchmarks/metrics.py [--smoke] [--json]``. Each mode runs in processes of its own, in turns, and the
median of the turns is told: the numbers of one answered request of one row in a call of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.telemetry import SHARED, Metrics

MODES = ("alone", "shared")


def microseconds(repeats: int) -> float:
    """Of what a price request counts; what is bound once is bound before."""
    metrics = Metrics()
    requests, seconds = metrics.requests.labels("price", "POST", 200), metrics.seconds.labels("price")
    start = time.perf_counter()
    for _ in range(repeats):
        metrics.of_model("basket")  # the route's counter of rows outside
        metrics.queue.observe(1e-5)
        metrics.compute.observe(1e-5)
        metrics.batch_rows.observe(1)
        metrics.of_model("basket")[0].inc(1)
        metrics.batch_requests.observe(1)
        requests.inc()
        seconds.observe(1e-4)
    return (time.perf_counter() - start) / repeats * 1e6


def in_a_process(mode: str, repeats: int) -> float:
    """The same in a fresh interpreter: prometheus_client chooses where numbers live when it is imported."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != SHARED}
        environment |= {SHARED: folder} if mode == "shared" else {}
        command = [sys.executable, __file__, "--repeats", str(repeats), "--child"]
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--repeats", type=int, default=100_000)
    given = parser.parse_args()
    if given.child:
        print(microseconds(given.repeats))
        return
    turns, repeats = (1, 1000) if given.smoke else (7, given.repeats)
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(turns):
        for mode in MODES:
            found[mode].append(in_a_process(mode, repeats))
    answer = {mode: {"median": statistics.median(values), "all": values} for mode, values in found.items()}
    if given.json:
        print(json.dumps(answer))
        return
    for mode, figures in answer.items():
        print(f"{mode}: {figures['median']:.2f} us a request (turns: {min(found[mode]):.2f} to {max(found[mode]):.2f})")


if __name__ == "__main__":
    main()
