from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.commands.fields import field_options
from pruning.spec import PruningSpec
from surrogate.artifact.files import load_manifest, load_report

Run = Callable[..., Any]
JOB = """
seed = 4

[labels]
samples = 64
paths = 32
replicates = 2
draws = { pilot = 32 }

[pruning]
method = "magnitude"
sparsity = 0.5
fine_tuning = { optimisers = [{ kind = "lbfgs", iterations = 2 }] }
"""


def published(result: Any) -> dict[str, Any]:
    """What the manifest of the version that a command made says of the build."""
    assert result.code == 0, result.err
    return load_manifest(Path(json.loads(result.out)["folder"])).provenance.build


def test_pruning_makes_a_smaller_next_version(run: Run, built: Any) -> None:
    result = run("prune", "tiny@champion", "--method", "magnitude", "--sparsity", 0.3, "--json")
    assert result.code == 0, result.err
    pruned = json.loads(result.out)
    assert pruned["version"] == 2
    assert pruned["network"]["parameters"] < built["network"]["parameters"]
    build = load_manifest(Path(pruned["folder"])).provenance.build
    assert build["pruning"]["fine_tuning"] == build["training"]


def test_every_field_has_an_option(run: Run, built: Any) -> None:
    """Numbers, words, switches and lists reach the job; what is not given has the default of the specification."""
    options = ("--method", "significance", "--sparsity", 0.3, "--targets", "value,gamma", "--enclosure", "affine")
    more = ("--stages", 2, "--schedule", "linear", "--no-protect-inputs", "--splits", 2, "--no-fine-tuning", "--json")
    pruning = published(run("prune", "tiny", *options, *more))["pruning"]
    assert pruning["targets"] == ["value", "gamma"]
    assert (pruning["enclosure"], pruning["stages"], pruning["schedule"]) == ("affine", 2, "linear")
    assert (pruning["protect_inputs"], pruning["splits"], pruning["fine_tuning"]) == (False, 2, None)
    assert pruning["rows"] == PruningSpec(method="magnitude", sparsity=0.3).rows
    assert set(PruningSpec.__struct_fields__) - set(field_options(PruningSpec)) == {"fine_tuning", "dynamics"}


def test_a_file_says_the_rest_and_options_stand_above_it(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    result = run("prune", "tiny", "--file", path, "--sparsity", 0.3, "--json")
    build = published(result)
    assert (build["seed"], build["labels"]["samples"]) == (4, 64)
    assert build["pruning"]["sparsity"] == 0.3
    assert build["pruning"]["fine_tuning"]["optimisers"][0]["iterations"] == 2
    assert published(run("prune", "tiny@1", "--file", path, "--seed", 5, "--json"))["seed"] == 5
    report = load_report(Path(json.loads(result.out)["folder"]))
    assert report.pruning is not None


def test_labels_of_a_teacher_by_a_file(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB.replace("paths = 32\nreplicates = 2\ndraws = { pilot = 32 }", 'model = "tiny@1"'))
    assert published(run("prune", "tiny", "--file", path, "--json"))["labels"]["model"] == "tiny@1"


@pytest.mark.parametrize(
    "target",
    [
        ("--method", "magic", "--sparsity", "0.5"),
        ("--method", "magnitude", "--sparsity", "1.5"),
        ("--method", "magnitude"),
        ("--method", "significance", "--parameters", "1"),
    ],
)
def test_an_impossible_target_publishes_nothing(run: Run, built: Any, target: tuple[str, ...]) -> None:
    result = run("prune", "tiny", *target)
    assert result.code == 2, result.err
    assert "error" in result.err.lower()
    assert json.loads(run("models", "list", "--json").out)[0]["aliases"]["latest"] == 1


def test_a_file_with_something_else_is_refused(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB + "\n[evaluation]\nsamples = 16\n")
    result = run("prune", "tiny", "--file", path)
    assert (result.code, "unknown field `evaluation`" in result.err) == (2, True)


def test_a_file_of_another_model_is_refused(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('model = "other"\n' + JOB)
    result = run("prune", "tiny", "--file", path)
    assert (result.code, "the command says 'tiny', the file 'other'" in result.err) == (2, True)


def test_another_kind_of_target_takes_the_place_of_the_files(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    pruning = published(run("prune", "tiny", "--file", path, "--parameters", 12, "--json"))["pruning"]
    assert (pruning["parameters"], pruning["sparsity"]) == (12, None)


def test_a_list_is_given_by_commas_or_one_after_the_other(run: Run, built: Any) -> None:
    options = ("--method", "significance", "--sparsity", 0.3, "--no-fine-tuning", "--json")
    pruning = published(run("prune", "tiny", *options, "--targets", "delta", "--targets", "gamma"))["pruning"]
    assert pruning["targets"] == ["delta", "gamma"]


def test_a_file_fine_tunes_as_it_says(run: Run, built: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('[pruning]\nmethod = "magnitude"\nsparsity = 0.3\n')
    assert published(run("prune", "tiny", "--file", path, "--json"))["pruning"]["fine_tuning"] is None
    tuned = published(run("prune", "tiny@1", "--file", path, "--fine-tuning", "--json"))
    assert tuned["pruning"]["fine_tuning"] == tuned["training"]
