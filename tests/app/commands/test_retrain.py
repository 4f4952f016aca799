from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.commands.retrain import read_value
from pricing.types import Array
from surrogate.artifact.files import load_manifest
from surrogate.artifact.manifest import Retraining, Version
from surrogate.report.record import known

Run = Callable[..., Any]
CARRY = ("--set", "problem.process.convention=carry")


def test_a_change_makes_the_next_version_of_the_name(run: Run, built: Any, tmp_path: Path) -> None:
    changes = ("--set", "problem.process.rate=0.03", *CARRY, "--set", "problem.features.spot.upper=[1.6, 1.6]")
    result = run("retrain", "tiny@1", *changes, "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert (answer["model"], answer["version"]) == ("tiny", 2)
    manifest = load_manifest(Path(answer["folder"]))
    assert manifest.provenance.build["problem"]["process"]["rate"] == 0.03
    assert manifest.features[0].upper == (1.6, 1.6)
    assert known(manifest.provenance.parent) == Version(model="tiny", version=1)
    again = known(manifest.provenance.retraining)
    assert isinstance(again, Retraining)
    assert again.changes["problem.process.convention"] == "carry"
    assert again.start == "weights"
    shown = run("models", "show", "tiny@2")
    assert "trained again from version 1" in " ".join(shown.out.split()).lower()


def test_changes_in_a_file_and_from_scratch(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "changes.toml"
    path.write_text("[labels]\nsamples = 64\n\n[network]\nhidden = [2]\n")
    result = run("retrain", "tiny", "--file", path, "--set", "seed=9", "--from-scratch", "--json")
    assert result.code == 0, result.err
    provenance = load_manifest(Path(json.loads(result.out)["folder"])).provenance
    assert (provenance.build["labels"]["samples"], provenance.build["network"]["hidden"]) == (64, [2])
    assert provenance.seed == 9
    again = known(provenance.retraining)
    assert isinstance(again, Retraining)
    assert again.start == "scratch"


def test_a_new_dataset_is_imported_by_its_file(
    run: Run, built: Any, label_arrays: Callable[..., dict[str, Array]], tmp_path: Path
) -> None:
    """The product is known, so that its reference judges what somebody else's labels have taught."""
    np.savez(tmp_path / "labels.npz", **label_arrays())  # type: ignore[arg-type]  # allow_pickle is not among them
    changes = ("--set", f"dataset.file={tmp_path / 'labels.npz'}")
    result = run("retrain", "tiny", *changes, "--json")
    assert result.code == 0, result.err
    build = load_manifest(Path(json.loads(result.out)["folder"])).provenance.build
    assert len(build["dataset"]["id"]) == 64
    assert build["problem"]["payoff"]["kind"] == "call"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("--set", "problem.process.rte=0.03"), "unknown field `rte`"),
        (("--set", "problem.process.rate"), "write PATH=VALUE, such as problem.process.rate=0.03"),
        (("--set", "=3"), "write PATH=VALUE"),
        (("--set", "name=other"), "a retrained model is a new version of its name"),
        (("--set", "problem.features.strike.upper=[1]"), "problem.features has no item 'strike'"),
        (("--set", "problem.process.rate=0.03"), "convention = 'carry'"),
        (("--set", "dataset.file=absent.csv"), "absent.csv"),
        (("--set", "seed=" + "9" * 400), "seed"),
        (("--set", "problem.process.rate=3%"), "neither a TOML value nor a word"),
        (("--set", "problem.process.rate=[0.1"), "neither a TOML value nor a word"),
        (("--set", ".".join("a" * 90) + "=1"), "fields deep"),
        (("--set", ".".join("a" * 900) + "=1"), "at most 200 characters, got 1799"),
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_publishes_nothing(
    run: Run, built: Any, changes: tuple[str, ...], words: str
) -> None:
    result = run("retrain", "tiny", *changes)
    assert result.code == 2, result.err
    assert words in result.err
    assert "Traceback" not in result.err
    assert json.loads(run("models", "list", "--json").out)[0]["aliases"]["latest"] == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.03", 0.03),
        ("[1, 2]", [1, 2]),
        ("uniform", "uniform"),
        ('"a b"', "a b"),
        ("true", True),
        ("null", None),
        ("a/b.csv", "a/b.csv"),
        ("basket@3", "basket@3"),
    ],
)
def test_a_value_is_toml_or_text(text: str, value: Any) -> None:
    assert read_value(text) == value
