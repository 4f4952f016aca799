"""An exported surrogate on disk: model bytes, manifest, report, card and hashes. Torch-free.

A version folder holds ``model.onnx``, ``manifest.json``, ``report.json``, ``README.md`` (the model card), optionally
``model.float32.onnx``, ``training.json`` (the losses on the way) and ``environment.json`` (the machine that made it),
and ``SHA256SUMS`` over all of them in the format of the sha256sum command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from surrogate.artifact.environment import Environment
from surrogate.artifact.manifest import Manifest, plain_manifest, read_manifest
from surrogate.errors import CorruptArtifact
from surrogate.report.curves import TrainingCurves, plain_curves, read_curves
from surrogate.report.report import AnyReport, plain_report, read_report

MODEL = "model.onnx"
MODEL_FLOAT32 = "model.float32.onnx"
MANIFEST = "manifest.json"
REPORT = "report.json"
TRAINING = "training.json"
ENVIRONMENT = "environment.json"
CARD = "README.md"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Everything that is published of one surrogate; ``model`` is its ONNX graph."""

    model: bytes
    manifest: Manifest
    report: AnyReport
    card: str
    model_float32: bytes | None = None
    training: TrainingCurves | None = None
    environment: Environment | None = None


def to_json(data: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, two spaces, no NaN or infinity, newline at the end."""
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def files(artifact: Artifact) -> dict[str, bytes]:
    """File name to content, SHA256SUMS last."""
    content = {
        MODEL: artifact.model,
        MANIFEST: to_json(plain_manifest(artifact.manifest)),
        REPORT: to_json(plain_report(artifact.report)),
        CARD: artifact.card.encode(),
    }
    if artifact.model_float32 is not None:
        content[MODEL_FLOAT32] = artifact.model_float32
    if artifact.training is not None:
        content[TRAINING] = to_json(plain_curves(artifact.training))
    if artifact.environment is not None:
        content[ENVIRONMENT] = to_json(msgspec.to_builtins(artifact.environment))
    content[SUMS] = "".join(
        f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)
    ).encode()
    return content


def write(artifact: Artifact, folder: Path) -> None:
    """Write every file of the artifact into an existing, empty folder."""
    for name, content in files(artifact).items():
        (folder / name).write_bytes(content)


def listed(folder: Path) -> dict[str, str]:
    """File name to hash as SHA256SUMS lists them; nothing is checked.

    Raises:
        CorruptArtifact: there is no such list, or a version has no file that it needs.
    """
    try:
        lines = (folder / SUMS).read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except OSError as error:
        raise _incomplete(folder, SUMS, error) from error
    except ValueError as error:
        raise CorruptArtifact(f"{folder / SUMS} is no list of hashes and files: {error}") from error
    if MODEL not in sums or MANIFEST not in sums:
        raise CorruptArtifact(f"{folder / SUMS} does not list {MODEL} and {MANIFEST}")
    return sums


def verify(folder: Path) -> dict[str, str]:
    """Check every hash of SHA256SUMS and return file name to hash.

    Raises:
        CorruptArtifact: a file is missing, or its bytes are not those that were published.
    """
    sums = listed(folder)
    for name, digest in sums.items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise _incomplete(folder, name, error) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise CorruptArtifact(f"{folder / name} differs from its hash in {SUMS}; restore it or publish again")
    return sums


def _incomplete(folder: Path, name: str, error: OSError) -> CorruptArtifact:
    why = (error.strerror or str(error)).lower()
    return CorruptArtifact(
        f"{folder / name}: {why}; this is not a complete version folder: restore the file or publish again"
    )


def load_manifest(folder: Path) -> Manifest:
    """The manifest in a version folder.

    Raises:
        CorruptArtifact: it is none.
    """
    return read_manifest(json.loads((folder / MANIFEST).read_bytes()))


def load_report(folder: Path) -> AnyReport:
    """The report in a version folder.

    Raises:
        CorruptArtifact: it is none.
    """
    return read_report(json.loads((folder / REPORT).read_bytes()))


def load_training(folder: Path) -> TrainingCurves:
    """The losses on the way in a version folder that has them.

    Raises:
        CorruptArtifact: they are none.
    """
    return read_curves(json.loads((folder / TRAINING).read_bytes()))


def load_environment(folder: Path) -> Environment:
    """The machine that made a version in its folder, which has it.

    Raises:
        CorruptArtifact: it says something else.
    """
    try:
        return msgspec.json.decode((folder / ENVIRONMENT).read_bytes(), type=Environment)
    except msgspec.MsgspecError as error:
        raise CorruptArtifact(f"{folder / ENVIRONMENT}: {error}") from error


def read(folder: Path) -> Artifact:
    """Read and verify a version folder.

    Raises:
        CorruptArtifact: see `verify`; or manifest and report are none.
    """
    sums = verify(folder)
    return Artifact(
        model=(folder / MODEL).read_bytes(),
        manifest=load_manifest(folder),
        report=load_report(folder),
        card=(folder / CARD).read_text(),
        model_float32=(folder / MODEL_FLOAT32).read_bytes() if MODEL_FLOAT32 in sums else None,
        training=load_training(folder) if TRAINING in sums else None,
        environment=load_environment(folder) if ENVIRONMENT in sums else None,
    )
