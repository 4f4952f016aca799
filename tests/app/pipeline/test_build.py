from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from app.pipeline.build import build
from app.specification.build import BuildSpec
from pricing.labels import make_labels
from pricing.specs.base import load
from surrogate.artifact import files


def test_the_same_specification_gives_the_same_bytes(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = load(BuildSpec, tiny)
    first, second = build(spec, tmp_path / "a"), build(spec, tmp_path / "b")
    assert files.files(first) == files.files(second)
    other = build(load(BuildSpec, tiny | {"seed": 2}), tmp_path / "c")
    assert other.model != first.model


def test_progress_is_told_by_step(tiny: dict[str, Any], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    build(load(BuildSpec, tiny), tmp_path, lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert list(dict.fromkeys(step for step, _ in told)) == ["label", "train", "certify", "evaluate", "export"]
    assert shares == sorted(shares)


def test_the_way_to_the_labels_comes_back_to_no_file(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Who reads from `build` to the first label leaves every file for good."""
    way: list[str] = []

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is make_labels.__code__:
            sys.setprofile(None)
            caller: FrameType | None = frame
            while caller is not None and caller.f_code is not test_the_way_to_the_labels_comes_back_to_no_file.__code__:
                way.insert(0, Path(caller.f_code.co_filename).name)
                caller = caller.f_back

    sys.setprofile(watch)
    try:
        build(load(BuildSpec, tiny), tmp_path)
    finally:
        sys.setprofile(None)
    entered = [file for file, _ in groupby(way)]
    assert entered == ["build.py", "steps.py", "label.py", "simulated.py", "labels.py"]
