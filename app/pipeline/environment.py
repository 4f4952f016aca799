"""The machine and the code that this process runs on, as a version's `environment.json` has them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from surrogate.artifact.environment import Environment

# The source tree, if the packages lie in one, and what of it is run.
ROOT, PACKAGES = Path(__file__).parents[2], ("app", "pricing", "surrogate", "pruning")
# git answers in milliseconds; a tree on a disk that hangs is no reason to lose a model.
GIT_SECONDS = 10.0
CPUINFO = Path("/proc/cpuinfo")


class Source(NamedTuple):
    """A commit, and whether the packages have changed since."""

    commit: str | None
    changed: bool | None


def environment() -> Environment:
    """What is known of it here and now."""
    source = source_of(ROOT)
    return Environment(
        processor=processor(),
        architecture=platform.machine(),
        instruction_set={"torch": torch.backends.cpu.get_cpu_capability(), "numpy": numpy_instructions()},
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        threads=torch.get_num_threads(),
        commit=source.commit,
        changed=source.changed,
    )


def processor() -> str:
    """The name of the processor's model, by whoever knows it."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:  # another system, which tells Python
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


def numpy_instructions() -> str:
    """The extensions that numpy dispatches to, beyond those that it is built for."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join((*extensions.get("baseline", ()), *extensions.get("found", ())))


def source_of(root: Path) -> Source:
    """The commit of a source tree; none where it is no git checkout of its own, as an installed package is not."""
    found = git(root, "rev-parse", "--show-toplevel", "HEAD")
    top, _, commit = (found or "").strip().partition("\n")
    if not commit or Path(top) != root.resolve():
        return Source(None, None)
    changes = git(root, "status", "--porcelain", "--", *PACKAGES)
    return Source(commit, None if changes is None else bool(changes.strip()))


def git(root: Path, *arguments: str) -> str | None:
    """What git says in a folder, whatever it was told of other repositories; None where it does not know."""
    program = shutil.which("git")
    if program is None:
        return None
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [program, "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, env=own, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
