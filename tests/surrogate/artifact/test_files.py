from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from surrogate.artifact.files import (
    MANIFEST,
    MODEL,
    MODEL_FLOAT32,
    REPORT,
    SUMS,
    TRAINING,
    Artifact,
    files,
    read,
    to_json,
    verify,
    write,
)
from surrogate.artifact.manifest import Manifest
from surrogate.errors import CorruptArtifact
from surrogate.report.curves import Curve, Training, TrainingCurves
from surrogate.report.report import AnyReport


@pytest.fixture
def artifact(manifest: Callable[..., Manifest], report: Callable[..., AnyReport]) -> Artifact:
    """Without a float32 variant."""
    return Artifact(model=b"model", manifest=manifest(), report=report(), card="# card\n")


CURVES = TrainingCurves(
    trainings=(
        Training(
            step="train",
            shares={"value": 0.25, "delta": 0.75},
            measured=8,
            held_out=0,
            curves=(Curve(optimiser="adam", place=0, start=0, iteration=(0,), loss=(None,), terms={"value": (0.5,)}),),
        ),
    )
)


@pytest.mark.parametrize("single", [None, b"single"])
@pytest.mark.parametrize("training", [None, CURVES])
def test_round_trip(tmp_path: Path, artifact: Artifact, single: bytes | None, training: TrainingCurves | None) -> None:
    artifact = replace(artifact, model_float32=single, training=training)
    write(artifact, tmp_path)
    assert read(tmp_path) == artifact
    assert (TRAINING in verify(tmp_path)) == (training is not None)
    assert (MODEL_FLOAT32 in verify(tmp_path)) == (artifact.model_float32 is not None)
    assert verify(tmp_path)[MODEL] == hashlib.sha256(b"model").hexdigest()


def test_sha256sum_agrees(tmp_path: Path, artifact: Artifact) -> None:
    write(replace(artifact, model_float32=b"single", training=CURVES), tmp_path)
    result = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, capture_output=True, check=True)
    assert result.stdout.count(b": OK") == 6


def test_json_is_canonical_and_finite(artifact: Artifact) -> None:
    assert to_json({"b": 1, "a": 2}) == to_json({"a": 2, "b": 1})
    assert files(artifact) == files(artifact)
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"a": math.nan})


@pytest.mark.parametrize("name", [MODEL, MANIFEST, "report.json", "README.md"])
def test_any_altered_or_missing_file_is_found(tmp_path: Path, artifact: Artifact, name: str) -> None:
    write(artifact, tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content + b" ")
    with pytest.raises(CorruptArtifact, match=name):
        read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CorruptArtifact, match="not a complete version folder"):
        read(tmp_path)


@pytest.mark.parametrize("sums", ["", "nonsense\n", f"{hashlib.sha256(b'model').hexdigest()}  {MODEL}\n"])
def test_sums_must_list_the_model_and_its_manifest(tmp_path: Path, artifact: Artifact, sums: str) -> None:
    write(artifact, tmp_path)
    (tmp_path / SUMS).write_text(sums)
    with pytest.raises(CorruptArtifact):
        verify(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST, REPORT, TRAINING])
def test_whole_files_that_say_something_else_are_refused(tmp_path: Path, artifact: Artifact, name: str) -> None:
    content = files(replace(artifact, training=CURVES)) | {name: b"{}\n"}
    del content[SUMS]
    for file, data in content.items():
        (tmp_path / file).write_bytes(data)
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {file}\n" for file, data in content.items())
    (tmp_path / SUMS).write_text(sums)
    assert verify(tmp_path)
    with pytest.raises(CorruptArtifact, match="this is no"):
        read(tmp_path)
