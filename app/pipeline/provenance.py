"""Where a model comes from: all that it takes to make the same bytes again."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from app.files import read_json
from app.pipeline.plan import read_order
from app.specification.build import BuildSpec
from pricing.specs.base import dump, load
from surrogate.artifact.manifest import Provenance, Version

# Distributions whose version can change the numbers.
LIBRARIES = ("sobolite", "torch", "numpy", "scipy", "onnx")
# What a specification says of simulated labels alone.
SIMULATED = frozenset({"problem", "labels", "evaluation"})


def versions() -> dict[str, str]:
    """Versions of the libraries that can change the numbers."""
    return {library: version(library) for library in LIBRARIES}


def provenance(folder: Path, build: BuildSpec) -> Provenance:
    """What a manifest says of a job's folder after its last step but export."""
    given, labels = read_order(folder), read_json(folder / "labels.json")
    parent = read_json(folder / "parent.json") if given.kind == "prune" else {"simulated_paths": 0, "parent": None}
    table = labels.get("table")
    left_out = SIMULATED if build.dataset is not None else frozenset[str]()
    return Provenance(
        build={name: part for name, part in dump(build).items() if name not in left_out},
        seed=build.seed,
        simulated_paths=parent["simulated_paths"] + labels["simulated_paths"],
        states_sha256=table["states_sha256"] if table else None,
        data_sha256=hashlib.sha256((folder / "labels.npz").read_bytes()).hexdigest(),
        libraries=versions(),
        parent=None if parent["parent"] is None else load(Version, parent["parent"]),
        job=given.job,
    )
