"""An exported surrogate on disk: model bytes, manifest, report, card and hashes. Torch-free.

A version folder holds ``model.onnx``, ``manifest.json``, ``report.json``, ``README.md`` (the model card), optionally
``model.float32.onnx``, and ``SHA256SUMS`` over all of them in the format of the sha256sum command.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surrogate.errors import CorruptArtifact

MODEL = "model.onnx"
MODEL_FLOAT32 = "model.float32.onnx"
MANIFEST = "manifest.json"
REPORT = "report.json"
CARD = "README.md"
SUMS = "SHA256SUMS"
# Below it the decimals of an R2 say nothing.
LEAST_R2 = -1000.0


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Everything that is published of one surrogate.

    manifest: problem (plain spec), features (Box with units), network (widths, activation, parameters), accuracy (by
    Greek and bucket), provenance (spec, seed, library versions, data hash, job), hashes (sha256 of the model bytes).
    """

    model: bytes
    manifest: Mapping[str, Any]
    report: Mapping[str, Any]
    card: str
    model_float32: bytes | None = None


def to_json(data: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, two spaces, no NaN or infinity, newline at the end."""
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def show_r2(r2: float) -> str:
    """Seven decimals, rounded down, so that nothing short of 1 is shown as 1; two digits of what is below -1000.

    >>> show_r2(0.99999998), show_r2(-1e189)
    ('0.9999999', '-1.0e+189')
    """
    if r2 < LEAST_R2:
        return f"{r2:.1e}"
    return f"{math.floor(r2 * 1e7) / 1e7:.7f}"


def show_network(network: Mapping[str, Any]) -> str:
    """What a manifest's network is, in words.

    >>> show_network({"kind": "polynomial", "degree": 9, "axes": 1, "terms": 10})
    'a polynomial of degree 9 in 1 axis of the features, 10 terms'
    """
    if "degree" in network:
        axes = f"{network['axes']} {'axis' if network['axes'] == 1 else 'axes'}"
        return f"a polynomial of degree {network['degree']} in {axes} of the features, {network['terms']} terms"
    return f"an MLP of widths {'-'.join(map(str, network['widths']))} ({network['activation']})"


def show_outputs(names: Iterable[str]) -> str:
    """What a graph returns, in Markdown.

    >>> show_outputs(["value", "delta", "gamma", "strike", "theta"]).splitlines()[1]
    'and columns of `delta` as `strike`, `theta` (the sign changed)'
    """
    shown = "`value` [n], `delta` [n, d] and `gamma` [n, d, d]"
    named = [name for name in names if name not in ("value", "delta", "gamma")]
    columns = ", ".join(f"`{name}`" + " (the sign changed)" * (name == "theta") for name in named)
    return f"{shown},\nand columns of `delta` as {columns}" if named else shown


def show_bounds(features: Iterable[Mapping[str, Any]]) -> str:
    """The Box as a table in Markdown."""
    head = "| feature (coordinates) | lowest | highest | unit |\n|---|---|---|---|"
    rows = (
        f"| {feature['name']} ({len(feature['lower'])}) | {min(feature['lower']):g} | {max(feature['upper']):g} | "
        f"{feature['unit']} |"
        for feature in features
    )
    return "\n".join((head, *rows))


def files(artifact: Artifact) -> dict[str, bytes]:
    """File name to content, SHA256SUMS last."""
    content = {
        MODEL: artifact.model,
        MANIFEST: to_json(artifact.manifest),
        REPORT: to_json(artifact.report),
        CARD: artifact.card.encode(),
    }
    if artifact.model_float32 is not None:
        content[MODEL_FLOAT32] = artifact.model_float32
    content[SUMS] = "".join(
        f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)
    ).encode()
    return content


def write(artifact: Artifact, folder: Path) -> None:
    """Write every file of the artifact into an existing, empty folder."""
    for name, content in files(artifact).items():
        (folder / name).write_bytes(content)


def verify(folder: Path) -> dict[str, str]:
    """Check every hash of SHA256SUMS and return file name to hash.

    Raises:
        CorruptArtifact: a file is missing, or its bytes are not those that were published.
    """
    try:
        lines = (folder / SUMS).read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        for name, digest in sums.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise CorruptArtifact(f"{folder / name} differs from its hash in {SUMS}; restore it or publish again")
    except (OSError, ValueError) as error:
        if isinstance(error, CorruptArtifact):
            raise
        raise CorruptArtifact(f"{folder} is not a complete version folder: {error}") from error
    if MODEL not in sums or MANIFEST not in sums:
        raise CorruptArtifact(f"{folder / SUMS} does not list {MODEL} and {MANIFEST}")
    return sums


def read(folder: Path) -> Artifact:
    """Read and verify a version folder.

    Raises:
        CorruptArtifact: see `verify`.
    """
    sums = verify(folder)
    return Artifact(
        model=(folder / MODEL).read_bytes(),
        manifest=json.loads((folder / MANIFEST).read_bytes()),
        report=json.loads((folder / REPORT).read_bytes()),
        card=(folder / CARD).read_text(),
        model_float32=(folder / MODEL_FLOAT32).read_bytes() if MODEL_FLOAT32 in sums else None,
    )
