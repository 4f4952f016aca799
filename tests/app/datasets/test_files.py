from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from app.datasets.files import LINE, read_labels
from app.datasets.table import LabelTable, Limits
from app.errors import AppError, InvalidRequest, TooLarge

LIMITS = Limits(rows=1000, size=1 << 20)
X = np.array([[1.0, 2.0], [1.5, 2.5], [0.5, 3.0]])
Y = np.array([0.1, 0.2, -0.3])
DYDX = np.array([[0.1, 0.2], [0.3, 0.4], [0.0, 1.0]])
WEIGHT = np.array([1.0, 2.0, 0.5])
CSV = "x0,x1,y,dydx0,dydx1,weight\n1,2,0.1,0.1,0.2,1\n1.5,2.5,0.2,0.3,0.4,2\n0.5,3,-0.3,0,1,0.5\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "labels"
    path.write_text(text)
    return path


def same(table: LabelTable) -> None:
    assert table.names == ("x[0]", "x[1]")
    assert table.dydx is not None
    assert table.weight is not None
    for got, want in ((table.x, X), (table.y, Y), (table.dydx, DYDX), (table.weight, WEIGHT)):
        np.testing.assert_array_equal(got, want)


def test_every_format_says_the_same(tmp_path: Path) -> None:
    same(read_labels(write(tmp_path, CSV), LIMITS))
    np.savez(tmp_path / "a.npz", x=X, y=Y, dydx=DYDX, weight=WEIGHT)
    same(read_labels(tmp_path / "a.npz", LIMITS))
    np.savez_compressed(tmp_path / "b.npz", x=X, y=Y, dydx=DYDX, weight=WEIGHT)
    same(read_labels(tmp_path / "b.npz", LIMITS))
    flat = {"x[0]": X[:, 0], "x[1]": X[:, 1], "y": Y, "dydx[0]": DYDX[:, 0], "dydx[1]": DYDX[:, 1], "weight": WEIGHT}
    parquet.write_table(arrow.table(flat), tmp_path / "a.parquet")
    same(read_labels(tmp_path / "a.parquet", LIMITS))
    lists = {"x": X.tolist(), "y": Y, "dydx": DYDX.tolist(), "weight": WEIGHT}
    parquet.write_table(arrow.table(lists), tmp_path / "b.parquet")
    same(read_labels(tmp_path / "b.parquet", LIMITS))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + CSV,
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace(",", ";").replace(".", ","),
        CSV.replace("\n", "\r\n"),
        "".join(f'"T-{i}",{line}\n' if i else f"id,{line}\n" for i, line in enumerate(CSV.split())),
        "".join(f"{line};{i}.5\n" if i else f"{line};ID\n" for i, line in enumerate(CSV.replace(",", ";").split())),
    ],
)
def test_other_peoples_csv_says_the_same(tmp_path: Path, text: str) -> None:
    """A mark of the byte order, semicolons, tabs, decimal commas, ids that are no numbers and ids that are."""
    same(read_labels(write(tmp_path, text), LIMITS))


def test_derivatives_and_weights_may_be_missing(tmp_path: Path) -> None:
    table = read_labels(write(tmp_path, "spot,y\n1,2\n\n2,3\n"), LIMITS)
    assert (table.names, table.dydx, table.weight) == (("spot",), None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            CSV.replace("0.3,0.4", "nan,0.4"),
            r"line 3, column dydx\[0\]: need a finite number from -1e\+100 to 1e\+100, got nan",
        ),
        (CSV.replace("2.5", "two"), "line 3, column x1: need a number, got 'two'"),
        (CSV.replace("2.5,", ""), "line 3: need 6 columns, got 5"),
        (CSV.replace(",2\n", ",-2\n"), r"line 3, column weight: need a finite number from 1e-100 to 1e\+100, got -2.0"),
        (CSV.replace("-0.3", "-1e200"), r"line 4, column y: need .* from -1e\+100 to 1e\+100, got -1e\+200"),
        (CSV.replace("1.5,", '"1.5,'), "line 3: a line must .* end outside of quotes"),
        (CSV + "1," * (LINE // 2), f"line 5: a line must be shorter than {LINE} characters"),
        (CSV + "1" * (1 << 18), "not CSV: field larger than field limit .*; save it as CSV in UTF-8, Parquet or NPZ"),
        ("x0,y\n", "the file has no rows"),
        ("", "the header must name y"),
        (CSV.replace(",", "|"), r"line 1: separate the columns by commas, semicolons or tabs and not by '\|'; got 'x0"),
        (CSV.replace(",", ";").replace("2.5", "2,5"), "numbers are written with '.' first and as '2,5' later"),
    ],
)
def test_what_is_wrong_in_a_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_labels(write(tmp_path, text), LIMITS)


@pytest.mark.parametrize("content", [CSV.encode("utf-16"), b"\x93NUMPY\x01\x00", pickle.dumps(X)])
def test_what_is_no_text_is_to_be_saved_as_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="save it as CSV in UTF-8, Parquet or NPZ"):
        read_labels(path, LIMITS)


@pytest.mark.parametrize("content", [b"\x00\xff\xfe", b"PK\x03\x04 no archive", b'x0,y\n"1,2\n'])
def test_what_is_no_file_of_labels_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest):
        read_labels(path, LIMITS)


def test_limits_hold_for_rows_and_for_unpacked_bytes(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more than 2 rows"):
        read_labels(write(tmp_path, CSV), Limits(rows=2, size=1 << 20))
    many = np.zeros((500, 400))
    np.savez_compressed(tmp_path / "bomb.npz", x=many, y=np.zeros(500))
    np.savez(tmp_path / "bytes.npz", x=many.astype(np.int8), y=np.zeros(500))
    parquet.write_table(arrow.table({f"x{i}": column for i, column in enumerate(many.T)}), tmp_path / "equal.parquet")
    parquet.write_table(arrow.table({"x": list(many)}), tmp_path / "lists.parquet")
    (tmp_path / "short.csv").write_text("\n".join([",".join(map(str, range(400)))] + [",".join(["1"] * 400)] * 500))
    for name in ("bomb.npz", "bytes.npz", "equal.parquet", "lists.parquet", "short.csv"):
        assert (tmp_path / name).stat().st_size < LIMITS.size
        with pytest.raises(TooLarge, match="holds more than 1048576 bytes of numbers, 8 each"):
            read_labels(tmp_path / name, LIMITS)
    parquet.write_table(arrow.table({"x0": np.arange(2000.0), "y": np.arange(2000.0)}), tmp_path / "a.parquet")
    with pytest.raises(TooLarge, match="more than 1000 rows"):
        read_labels(tmp_path / "a.parquet", LIMITS)


def test_a_missing_file_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="cannot read"):
        read_labels(tmp_path / "nothing", LIMITS)
