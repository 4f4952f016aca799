"""Does the service hold under abuse? Memory, outcomes and the rate of prices, without and with an attack.

    python benchmarks/soak.py [--minutes 10] [--json] [--smoke]

`sobolite serve` with short time limits answers steady clients, first alone and then beside clients that send requests
that are refused, that stall in headers, bodies and answers, and that open floods of connections. Printed are the slope
of the memory of all processes over the second half with its standard error (least squares; the errors of samples that
follow each other are no independent ones, so the residuals are averaged in 10 blocks first), the number of outcomes by
kind, and the rates. Targets: the slope within two standard errors or a megabyte a minute, no request that ends in
nothing, prices at more than half of their rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np

from benchmarks.cases.service import PRICE, Load, Service, priced, request, service

SETTINGS = {
    "header_seconds": 2.0,
    "body_seconds": 2.0,
    "write_seconds": 2.0,
    "idle_seconds": 5,
    "limit_concurrency": 1024,
    "queue_requests": 256,
}
CLIENTS, STALLED, FLOOD = 8, 100, 200
SAMPLE_SECONDS = 0.5
BLOCKS = 10
PAUSE_SECONDS = 0.5
# A megabyte a minute, the least slope that is told from none.
LEAST_SLOPE = 1.0
HEAD = f"POST {PRICE} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n".encode()
BAD = {
    "not JSON": request(PRICE, b"{"),
    "no rows": request(PRICE, b'{"inputs": []}'),
    "outside": request(PRICE, b'{"inputs": [[9, 9, 9, 9, 9, 9, 9]]}'),
    "no model": request("/v1/models/nobody/price", b"{}"),
    "no job": request("/v1/jobs", b'{"kind": "train", "spec": {}}'),
    "not HTTP": b"\x00\x01\x02\r\n\r\n",
    "a large header": HEAD + b"a: " + b"x" * 100_000 + b"\r\n\r\n",
    "a large body": HEAD + b"content-length: 1000000000\r\n\r\n",
}
STALLS = {
    "half of a header": HEAD,
    "half of a body": HEAD + b"content-length: 200\r\n\r\n{",
    "no end of chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n \r\n",
}


class Attack:
    """Clients that mean no good; ``outcomes`` counts by kind what became of each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.running = True
        self.outcomes: Counter[str] = Counter()

    async def send(self, kind: str, data: bytes) -> None:
        """Send and hear until the server closes or answers."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self.outcomes[f"{kind}: not let in"] += 1
            return
        try:
            writer.write(data)
            async with asyncio.timeout(30.0):
                heard = await reader.read(1 << 10)
            outcome = heard[9:12].decode() or "closed"
        except TimeoutError:
            outcome = "NOTHING"
        except OSError:
            outcome = "cut"
        writer.close()
        self.outcomes[f"{kind}: {outcome}"] += 1

    async def bad(self) -> None:
        """Requests that are refused, one after the other."""
        while self.running:
            for kind, data in BAD.items():
                await self.send(kind, data)
                await asyncio.sleep(0.01)

    async def stall(self, kind: str, data: bytes) -> None:
        """Stall again and again."""
        while self.running:
            await self.send(kind, data)

    async def flood(self) -> None:
        """Open many connections at once, and ask nothing."""
        while self.running:
            await asyncio.gather(*(self.send("flood", b"") for _ in range(FLOOD)))
            await asyncio.sleep(PAUSE_SECONDS)

    async def unread(self) -> None:
        """Ask for a large answer and read none of it."""
        while self.running:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1)
                writer.write(priced(5_000))
                await asyncio.sleep(4.0)
                writer.transport.abort()
                self.outcomes["unread: left"] += 1
            except OSError:
                self.outcomes["unread: cut"] += 1

    async def run(self) -> None:
        """All of it until ``running`` ends."""
        kinds = list(STALLS.items())
        stalls = (self.stall(*kinds[i % len(kinds)]) for i in range(STALLED))
        await asyncio.gather(self.bad(), self.flood(), self.unread(), *stalls)


async def rate(served: Service, seconds: float, outcomes: Counter[str]) -> tuple[float, list[tuple[float, int]]]:
    """Prices a second, and times with the memory of the service."""
    load, start, memory = Load(served.port), time.monotonic(), list[tuple[float, int]]()
    tasks = [asyncio.create_task(load.client(persistent=i % 2 == 0)) for i in range(CLIENTS)]
    while (now := time.monotonic() - start) < seconds:
        memory.append((now, served.memory()))
        await asyncio.sleep(SAMPLE_SECONDS)
    load.running = False
    await asyncio.gather(*tasks)
    outcomes.update({f"price: {kind}": count for kind, count in load.counts.items()})
    return load.counts.get("200", 0) / (time.monotonic() - start), memory


def slope(memory: list[tuple[float, int]]) -> tuple[float, float]:
    """Megabytes a minute over the second half, and its standard error from averages of blocks."""
    half = np.array(memory[len(memory) // 2 :], dtype=float)
    blocks = np.array([block.mean(axis=0) for block in np.array_split(half, min(BLOCKS, len(half)))])
    x, y = blocks[:, 0] / 60.0, blocks[:, 1] / 1e6
    x = x - x.mean()
    found = float(x @ y / (x @ x))
    rest = y - y.mean() - found * x
    return found, math.sqrt(float(rest @ rest) / max(1, len(x) - 2) / float(x @ x))


async def soak(served: Service, seconds: float) -> dict[str, Any]:
    """Alone for a fifth of the time, then under attack."""
    outcomes: Counter[str] = Counter()
    normal, _ = await rate(served, max(1.0, seconds / 5), outcomes)
    attack = Attack(served.port)
    task = asyncio.create_task(attack.run())
    attacked, memory = await rate(served, seconds, outcomes)
    attack.running = False
    await task
    outcomes += attack.outcomes
    found, error = slope(memory)
    lost = {kind: count for kind, count in outcomes.items() if "NOTHING" in kind or "price: lost" in kind}
    return {
        "seconds": seconds,
        "normal_rate": normal,
        "attacked_rate": attacked,
        "share": attacked / normal,
        "memory_mb": memory[-1][1] / 1e6,
        "slope_mb_per_minute": found,
        "slope_error": error,
        "outcomes": dict(sorted(outcomes.items())),
        "targets_met": attacked > 0.5 * normal and abs(found) < max(2 * error, LEAST_SLOPE) and not lost,
    }


def show(result: dict[str, Any]) -> None:
    """Print for people."""
    print(f"{result['seconds']:.0f} s of attack: prices at {result['attacked_rate']:.0f} a second", end=", ")
    print(f"{result['share']:.0%} of the {result['normal_rate']:.0f} without it")
    found, error = result["slope_mb_per_minute"], result["slope_error"]
    print(f"memory {result['memory_mb']:.0f} MB, slope {found:.2f} (standard error {error:.2f}) MB a minute")
    print("| outcome | count |\n|---|---|")
    for kind, count in result["outcomes"].items():
        print(f"| {kind} | {count} |")
    print(f"targets met: {'yes' if result['targets_met'] else 'no'}")


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description="Memory, outcomes and the rate of prices under attack.")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the attack")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="a few seconds: does it run?")
    given = parser.parse_args()
    with TemporaryDirectory() as folder, service(Path(folder), "--no-worker", **SETTINGS) as served:
        result = asyncio.run(soak(served, 6.0 if given.smoke else 60.0 * given.minutes))
    print(json.dumps(result)) if given.json else show(result)
    if not (given.smoke or result["targets_met"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
