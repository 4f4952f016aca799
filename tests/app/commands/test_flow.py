from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate.artifact.flow_files import FACTS, read_flow
from surrogate.errors import CorruptArtifact
from surrogate.spec import SAMPLER

Run = Callable[..., Any]
QUICK = ("--hidden", "8,8", "--epochs", 20, "--steps", 3)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A bent cloud: one coordinate about the square of the other."""
    generator = np.random.default_rng(1)
    x = generator.standard_normal(300)
    y = 100.0 + 5.0 * x**2 + 0.3 * generator.standard_normal(300)
    path = tmp_path / "states.csv"
    np.savetxt(path, np.stack([x, y], axis=1), delimiter=",", header="rate,spot", comments="")
    return path


def rows(text: str) -> tuple[list[str], np.ndarray]:
    header, *lines = csv.reader(text.splitlines())
    return header, np.array(lines, dtype=float)


def test_a_flow_is_learnt_drawn_from_and_asked(run: Run, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flows" / "bent"
    result = run("flow", "learn", table, "-o", folder, *QUICK, "--json")
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert facts["columns"] == ["rate", "spot"]
    assert (facts["learnt_from"], facts["held_out"]) == (240, 60)
    assert facts["nats"] < facts["gaussian_nats"] - 0.2
    header, drawn = rows(run("flow", "sample", folder, 500).out)
    assert (header, drawn.shape) == (["rate", "spot"], (500, 2))
    assert np.corrcoef(drawn[:, 0] ** 2, drawn[:, 1])[0, 1] > 0.25  # of the Gaussian 0
    header, again = rows(run("flow", "sample", folder, 500).out)
    assert np.array_equal(drawn, again)
    likely, unlikely = tmp_path / "likely.csv", tmp_path / "unlikely.csv"
    likely.write_text("spot,rate\n105,1\n")  # by name, in any order
    unlikely.write_text("rate,spot\n1,120\n")
    (here,), (there,) = (rows(run("flow", "density", folder, path).out)[1] for path in (likely, unlikely))
    assert here[:2].tolist() == [1.0, 105.0]
    assert here[2] > there[2] + 2.0


def test_a_sparse_flow_has_fewer_weights_and_says_so(run: Run, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sparse"
    result = run("flow", "learn", table, "-o", folder, *QUICK, "--sparsity", 0.5, "--method", "magnitude")
    assert result.code == 0, result.err
    kept, whole = read_flow(folder).weights
    assert kept <= 0.5 * whole + 1
    assert f"{kept} of {whole}" in result.out
    output = tmp_path / "drawn.csv"
    assert run("flow", "sample", folder, 5, "-o", output).code == 0
    assert len(output.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b\n1,2\n1,x\n", (), "line 3, column 2: need a finite number"),
        ("a,b\n", (), "no rows"),
        ("a,b\n1,2\n3,4\n5,6\n7,8\n", (), "lie on a plane"),
        ("a,a\n1,2\n3,5\n", (), "names must differ"),
        ("1,2\n3,5\n4,4\n", ("--hidden", "8;8"), "write widths such as 32,32"),
        ("1,2\n3,5\n4,4\n", ("--held-out", "0.9"), "held_out must be in [0.01, 0.5]"),
        ("1,2\n3,5\n4,4\n", ("--sparsity", "0.5", "--method", "magic"), "magic"),
        ("1,2\n3,5\n", (), "leave 1 to learn from"),
    ],
    ids=str,
)
def test_what_cannot_be_learnt_is_refused(
    run: Run, text: str, options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "states.csv"
    path.write_text(text)
    result = run("flow", "learn", path, "-o", tmp_path / "flow", *options)
    assert result.code in (1, 2), result.out
    assert words in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "flow").exists()


def test_another_file_is_found_out(run: Run, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flow"
    assert run("flow", "learn", table, "-o", folder, *QUICK[:2], "--epochs", 1).code == 0
    (folder / SAMPLER).write_bytes(b"")
    with pytest.raises(CorruptArtifact, match="make the flow again"):
        read_flow(folder)
    assert run("flow", "sample", folder, 5).code == 1
    (folder / FACTS).unlink()
    assert "holds no flow" in run("flow", "sample", folder, 5).err
    assert run("flow", "sample", tmp_path / "absent", 5).code == 1
