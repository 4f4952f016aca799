"""How long does the worst request of each route hold up all others? The worst stall of /healthz, in milliseconds.

    python benchmarks/stalls.py [--json] [--smoke]

For each route of the application's table the worst request that is accepted, and the worst that is refused, that we
know of is sent to `sobolite serve` (one API process), while another connection asks /healthz every few milliseconds.
A stall is the longest of its answers. The target is 100 ms on two cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path[0] = str(Path(__file__).parent.parent)

from app.main import create_app
from app.settings import Settings
from benchmarks.cases.service import MODEL, PATIENCE_SECONDS, ROW, Service, service

TARGET_MS = 100.0
PAUSE_SECONDS = 0.002
ROUNDS, SMOKE_ROUNDS = 3, 1
# Method, address, body and headers.
Request = tuple[str, str, bytes, dict[str, str]]

JSON = {"content-type": "application/json"}
BIG_BODY = (1 << 20) - 64
ROWS = 1 << 16
# Half of the bytes of the largest body of prices, nearly.
LARGE_BODY = 8_380_000


def worst() -> dict[str, list[Request]]:
    """By route of the specification: method, address, body and headers of what is accepted and what is refused."""
    version = f"/v1/models/{MODEL}/versions/1"
    deep, keys = b"[" * BIG_BODY, json.dumps({f"unknown{i}": 1 for i in range(55_000)}).encode()
    spec = b'{"kind": "train", "spec": ' + keys + b"}"
    rows = json.dumps({"inputs": [ROW] * ROWS, "outputs": ["value"]}).encode()
    outside = json.dumps({"inputs": [[9.0] * len(ROW)] * ROWS}).encode()
    row = json.dumps(ROW).encode()
    large = [
        b'{"inputs": [[' + b"1," * LARGE_BODY + b"1]]}",
        b'{"inputs": {"spot": [[' + b"1," * LARGE_BODY + b"1]]}}",
        b'{"inputs": [' + b"{}," * (2 * LARGE_BODY // 3) + b"{}]}",
        b'{"inputs": [[' + b"[" * (2 * LARGE_BODY),
        b'{"inputs": [' + row + b'], "outputs": [' + b'"value",' * (LARGE_BODY // 4) + b'"value"]}',
        b"{" + b",".join(b'"k%d":1' % i for i in range(LARGE_BODY // 6)) + b"}",
        b'{"inputs": [' + row + b'], "gamma": "' + b"x" * (2 * LARGE_BODY) + b'"}',
    ]
    gets = {
        "/healthz": "/healthz",
        "/readyz": "/readyz",
        "/metrics": "/metrics",
        "/v1/models": "/v1/models",
        "/v1/models/{name}/versions/{version}": version,
        "/v1/models/{name}/versions/{version}/model.onnx": f"{version}/model.onnx",
        "/v1/models/{name}/versions/{version}/report": f"{version}/report",
        "/v1/models/{name}/versions/{version}/training": f"{version}/training",
        "/v1/jobs": "/v1/jobs",
        "/v1/jobs/{job}": "/v1/jobs/" + "x" * 8000,
        "/v1/jobs/{job}/events": "/v1/jobs/nobody/events",
        "/v1/jobs/{job}/report": "/v1/jobs/nobody/report",
        "/v1/datasets": "/v1/datasets",
        "/v1/datasets/{dataset}": "/v1/datasets/" + "x" * 8000,
    }
    asked = {route: [("GET", path, b"", {"accept": "text/html"})] for route, path in gets.items()}
    asked["/v1/models/{name}/price"] = [
        ("POST", f"/v1/models/{MODEL}/price", body, JSON) for body in (rows, outside, deep, *large)
    ]
    asked["/v1/models/{name}/aliases/{alias}"] = [
        ("PUT", f"/v1/models/{MODEL}/aliases/champion", body, JSON) for body in (b'{"version": 1}', deep, keys)
    ]
    asked["/v1/jobs"] += [("POST", "/v1/jobs", body, JSON) for body in (spec, deep)]
    asked["/v1/jobs/{job}/cancel"] = [("POST", "/v1/jobs/nobody/cancel", deep, JSON)]
    asked["/v1/jobs/{job}/resume"] = [("POST", "/v1/jobs/nobody/resume", deep, JSON)]
    asked["/v1/datasets"] += [("POST", "/v1/datasets", *upload(data)) for data in (table(), b"x," * BIG_BODY)]
    return asked


def table() -> bytes:
    """A dataset of many rows."""
    lines = "".join(f"{i / 1e5},{i / 1e5 + 1},1,1\n" for i in range(100_000))
    return b"x0,y,dydx0,w\n" + lines.encode()


def upload(data: bytes) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a form with one file."""
    head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    return head + data + b"\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}


class Prober(threading.Thread):
    """Asks /healthz all the time; ``longest`` is the longest answer since it was last set to nothing."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self.longest = 0.0
        self.running = True

    def run(self) -> None:
        """Until ``running`` ends."""
        while self.running:
            start = time.perf_counter()
            self._connection.request("GET", "/healthz")
            self._connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - start)
            time.sleep(PAUSE_SECONDS)


def ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Status of an answer; 0 where the server closed the connection before."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (ConnectionError, http.client.RemoteDisconnected):
        return 0
    finally:
        connection.close()


def measure(served: Service, rounds: int) -> list[dict[str, Any]]:
    """The worst stall of each request over the rounds, and that of none."""
    prober = Prober(served.port)
    prober.start()
    rows = []
    cases: list[tuple[str, Request]] = [("(nothing)", ("", "", b"", {}))]
    cases += [(route, case) for route, requests in worst().items() for case in requests]
    for route, (method, path, body, headers) in cases:
        longest, status = 0.0, 0
        for _ in range(rounds):
            time.sleep(0.05)
            prober.longest = 0.0
            status = ask(served.port, method, path, body, headers) if method else 200
            time.sleep(0.05)
            longest = max(longest, prober.longest)
        row = {"route": route, "method": method, "bytes": len(body), "status": status, "stall_ms": 1e3 * longest}
        rows.append(row)
    prober.running = False
    prober.join()
    return rows


def missing() -> set[str]:
    """Routes of the application that no request is written for."""
    return set(create_app(Settings()).openapi()["paths"]) - set(worst())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The worst stall of /healthz during the worst requests of each route.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="one round: does it run?")
    given = parser.parse_args()
    if left := missing():
        sys.exit(f"routes without a worst request: {sorted(left)}; add them to worst()")
    with TemporaryDirectory() as folder, service(Path(folder), "--no-worker") as served:
        rows = measure(served, SMOKE_ROUNDS if given.smoke else ROUNDS)
    met = all(row["stall_ms"] < TARGET_MS for row in rows)
    if given.json:
        print(json.dumps({"rows": rows, "target_ms": TARGET_MS, "target_met": met}))
    else:
        print("| route | method | bytes | status | worst stall, ms |\n|---|---|---|---|---|")
        for row in rows:
            print(f"| {row['route']} | {row['method']} | {row['bytes']} | {row['status']} | {row['stall_ms']:.1f} |")
        print(f"target of {TARGET_MS:g} ms met: {'yes' if met else 'no'}")
    if not (given.smoke or met):
        sys.exit(1)


if __name__ == "__main__":
    main()
