from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from app.specification.jobs import load_spec
from app.specification.toml_files import read_build_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import dump
from pricing.specs.sampler import TableSampler

PRUNING = {"method": "magnitude", "sparsity": 0.5}


def with_sampler(path: Path, sampler: str) -> Path:
    """The build specification with a sampler."""
    path.write_text(path.read_text().replace("[labels]", f"[labels]\nsampler = {sampler}"))
    return path


def test_a_table_beside_the_file_becomes_states(tiny_file: Path) -> None:
    (tiny_file.parent / "history.csv").write_text("spot[1],spot[0]\n1.1,0.9\n1.2,0.1\n")
    sampler = '{ kind = "table", table = "history.csv", flow = { epochs = 3 } }'
    spec = read_build_spec(with_sampler(tiny_file, sampler))
    assert isinstance(spec.labels.sampler, TableSampler)
    assert spec.labels.sampler.states == ((0.9, 1.1), (0.1, 1.2))
    assert spec.labels.sampler.flow.epochs == 3
    assert load_spec("train", dump(spec)) == spec


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("spot[0],rate\n1,1\n", r"table: the header must name spot\[0\], spot\[1\], got spot\[0\], rate"),
        ("spot[0],spot[1]\n1,1\n1,nan\n", "table: line 3, column 2: need a finite number, got 'nan'"),
        ("spot[0],spot[1]\n1,1\n", "give 2 to 20000 rows, got 1"),
        (None, "table: cannot read .*history.csv"),
    ],
)
def test_a_table_that_does_not_fit_says_where(rows: str | None, message: str, tiny_file: Path) -> None:
    if rows is not None:
        (tiny_file.parent / "history.csv").write_text(rows)
    with pytest.raises(InvalidSpec, match=message):
        read_build_spec(with_sampler(tiny_file, '{ kind = "table", table = "history.csv" }'))


@pytest.mark.parametrize("kind", ["train", "prune"])
def test_a_client_cannot_make_the_server_read_a_file(kind: Literal["train", "prune"], tiny: dict[str, Any]) -> None:
    labels = tiny["labels"] | {"sampler": {"kind": "table", "table": "/etc/passwd"}}
    spec = tiny | {"labels": labels} if kind == "train" else {"model": "m", "pruning": PRUNING, "labels": labels}
    with pytest.raises(InvalidSpec, match=r"give its rows as states"):
        load_spec(kind, spec)
