from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.commands.verify import DIFFERS
from app.registry.registry import Registry
from surrogate.artifact.files import Artifact, read

Run = Callable[..., Any]


def test_the_same_bytes_end_with_0(run: Run, built: Any) -> None:
    result = run("verify", "tiny")
    assert (result.code, result.out) == (0, "tiny@1: the same bytes (model.onnx)\n")
    assert "train" in result.err  # progress, as of a build
    shown = json.loads(run("verify", "tiny@1", "--json", "--progress", "none").out)
    assert (shown["same"], shown["diverged"], shown["bytes"]["model.onnx"]["then"]) == (
        True,
        None,
        built["hashes"]["model.onnx"],
    )


def test_other_bytes_end_with_1_and_say_why(run: Run, built: Any, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    made = read(registry.folder("tiny", 1))
    seed = made.manifest.provenance.build | {"seed": 2}
    manifest = replace(made.manifest, provenance=replace(made.manifest.provenance, build=seed))
    assert made.environment is not None
    environment = replace(made.environment, processor="An older one")
    changed = Artifact(**{**vars(made), "manifest": manifest, "environment": environment})
    registry.publish("tiny", changed, job_id="changed")
    result = run("verify", "tiny@2", "--progress", "none")
    assert result.code == DIFFERS
    for part in ("tiny@2: other bytes; the first step with another result: labels", "labels: others", "An older one"):
        assert part in result.out
    for output in ("value", "delta", "gamma"):
        assert f" {output} " in result.out
    shown = run("verify", "tiny@2", "--json", "--progress", "none")
    assert (shown.code, json.loads(shown.out)["diverged"]) == (DIFFERS, "labels")
    assert json.loads(shown.out)["differences"]["delta"]["largest"] > 0.0


def test_what_is_not_there_ends_with_2(run: Run, built: Any, tmp_path: Path) -> None:
    assert run("verify", "tiny@7").code == 2
    assert run("verify", "nobody").code == 2
    registry = Registry(tmp_path / "registry")
    made = read(registry.folder("tiny", 1))
    nothing = replace(made.manifest, provenance=replace(made.manifest.provenance, build={}))
    registry.publish("tiny", Artifact(**{**vars(made), "manifest": nothing}), job_id="empty")
    result = run("verify", "tiny@2", "--progress", "none")
    assert result.code == 2
    assert result.err.startswith("error: tiny@2 cannot be made again here: ")
