"""One small sweep, as files and run in this process: what several tests start from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.sweeps.case import CASES
from app.sweeps.run import Outcome, run_cases
from app.sweeps.spec import SweepSpec

SWEEP = """
build = "tiny.toml"
methods = ["magnitude", { method = "significance", label = "by intervals" }, "snip", "set"]
sparsities = [0.5]
parameters = [2]
seeds = [0, 1]
shifts = [{ kind = "noise", level = 0.01 }, { kind = "corner", side = "upper" }]
gamma_r2 = 0.0

[pruning]
stages = 2
fine_tuning = { optimisers = [{ kind = "lbfgs", iterations = 3 }] }
dynamics = { optimiser = { kind = "adam", epochs = 2 } }

[from_scratch]
hidden = [[2]]
"""
# Per seed: the dense network, one from scratch, and every method at the target that can be met.
NETWORKS, IMPOSSIBLE = 2 * (2 + 4), 2 * 4


def run_here(spec: SweepSpec, folder: Path) -> list[Outcome]:
    """The cases one by one in this process."""
    with ThreadPoolExecutor(1) as executor:
        return run_cases(spec, folder, executor=executor, progress=lambda step, share: None)


def write(folder: Path, build: str) -> Path:
    """The sweep as files."""
    (folder / "tiny.toml").write_text(build)
    (folder / "sweep.toml").write_text(SWEEP)
    return folder / "sweep.toml"


def written(folder: Path) -> dict[Path, int]:
    """The records with the time that they were written."""
    return {path: path.stat().st_mtime_ns for path in (folder / CASES).glob("*.json")}
