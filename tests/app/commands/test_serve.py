"""`sobolite serve` and `sobolite worker` as processes: what keeps them from starting, and the worker that is kept."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import typer

from app.commands.serve import listen, loopback, require_token, run_api, shared_metrics, sweep_metrics
from app.commands.supervisor import Signals
from app.inference.predictor import execution_providers
from app.settings import Settings

PATIENCE_SECONDS = 60.0
# An installation without the training extra, as `import` sees it.
SERVING_ONLY = "import sys; sys.modules['torch'] = None; from app.cli import main; main()"
# An API process whose application cannot start.
BROKEN = "import sys; sys.exit(3)"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where started processes have their registry; it is not made yet."""
    root = tmp_path / "registry"
    monkeypatch.setenv("SOBOLITE_REGISTRY", str(root))
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SOBOLITE_BUNDLED", str(tmp_path / "none"))
    monkeypatch.setenv("SOBOLITE_DRAIN_SECONDS", "0")
    return root


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def refusal(*arguments: str) -> str:
    """The one line on stderr of a process that fails at its start."""
    ended = subprocess.run(
        [sys.executable, "-P", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_starts_nothing(registry: Path, taken: int, workers: str) -> None:
    line = refusal("-m", "app.cli", "serve", "--port", str(taken), "--workers", workers)
    assert line == f"error: port {taken} is in use; give --port"
    assert not (registry / ".workers").exists()


def test_a_registry_that_is_a_file_starts_nothing(registry: Path) -> None:
    registry.touch()
    assert refusal("-m", "app.cli", "serve", "--port", "0").startswith(f"error: cannot use {registry}")
    assert refusal("-m", "app.cli", "worker").startswith(f"error: cannot use {registry}")


@pytest.mark.skipif(len(execution_providers("auto")) > 1, reason="this machine has what is asked for")
def test_a_provider_that_is_not_there_starts_nothing(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOBOLITE_PROVIDER", "cuda")
    assert refusal("-m", "app.cli", "serve", "--port", "0").startswith("error: provider 'cuda' needs")


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_serving_only_installation_takes_no_jobs(registry: Path, command: str) -> None:
    line = refusal("-c", SERVING_ONLY, command)
    assert line == "error: jobs need torch: pip install -c constraints.txt '.[train]', or start with --no-worker"
    assert not registry.exists()


def test_a_serving_only_installation_says_how_to_learn(registry: Path) -> None:
    assert refusal("-c", SERVING_ONLY, "methods").endswith("needs pip install -c constraints.txt '.[train]'")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_cannot_start_is_code_1(workers: int) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(typer.Exit) as stop:
            run_api(["-c", BROKEN], listen("127.0.0.1", 0), Settings(), Signals(), workers=workers, worker=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert stop.value.exit_code == 1


def worker_of(server: int) -> int | None:
    """Process id of a server's worker."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == server and b"app.jobs.worker" in (entry / "cmdline").read_bytes():
                return int(entry.name)
        except OSError:  # it ended while we looked
            continue
    return None


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urlopen(url) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_replaces_a_dead_worker_and_takes_it_along_when_it_stops(registry: Path, workers: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--port", str(port), "--workers", workers]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz") and worker_of(server.pid))
        first = worker_of(server.pid)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: worker_of(server.pid) not in (None, first))
        second = worker_of(server.pid)
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_SECONDS) == 0
    assert not Path(f"/proc/{second}").exists()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_which_addresses_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert loopback(host) is expected


def test_beyond_loopback_there_is_a_token(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SOBOLITE_TOKEN", raising=False)
    require_token(settings, "10.0.0.1")
    made = os.environ["SOBOLITE_TOKEN"]
    assert capsys.readouterr().out.count(made) == 1
    known = Settings()
    assert known.hosts == ("10.0.0.1",)
    assert known.token is not None
    assert known.token.get_secret_value() == made
    assert made not in repr(known)
    require_token(known, "0.0.0.0")
    assert capsys.readouterr().out == ""


KILLED = """
import os, signal, sys
from pathlib import Path
from app.commands.serve import shared_metrics
with shared_metrics():
    (Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / "counter_1.db").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_metrics_of_a_killed_service_are_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    subprocess.run([sys.executable, "-P", "-c", KILLED], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with shared_metrics():
        kept = os.environ["PROMETHEUS_MULTIPROC_DIR"]
        sweep_metrics()
        assert {path.name for path in tmp_path.iterdir()} == {Path(kept).name, f"{Path(kept).name}.lock"}
    assert list(tmp_path.iterdir()) == []
