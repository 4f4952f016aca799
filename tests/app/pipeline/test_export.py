from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.export import export
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.learning.training import silent
from surrogate.spec import ExportSpec


def test_it_is_written_whole_in_the_place_of_what_was_there(tiny_build: BuildSpec, tmp_path: Path) -> None:
    made, folder = build(tiny_build, tmp_path), JobFolder(tmp_path)
    (folder.artifact / files.MODEL).write_bytes(b"cut off")
    before = {path.name for path in tmp_path.iterdir()}
    export(folder, silent)
    assert files.read(folder.artifact) == made
    assert {path.name for path in tmp_path.iterdir()} == before


def test_single_precision_is_written_where_it_is_asked_for(tiny_build: BuildSpec, tmp_path: Path) -> None:
    both = build(replace(tiny_build, export=ExportSpec(float32=True)), tmp_path / "both")
    assert both.model_float32 is not None
    assert set(plain_manifest(both.manifest)["parity"]) == {files.MODEL, files.MODEL_FLOAT32}
    assert build(replace(tiny_build, export=ExportSpec(float32=False)), tmp_path / "one").model_float32 is None
