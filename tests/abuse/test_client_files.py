"""Files as other people's programs write them: each says what the plain one does, or is refused in a true sentence."""

from __future__ import annotations

import bz2
import decimal
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import feather, parquet

from app.datasets.files import read_labels
from app.datasets.store import content_hash
from app.datasets.table import Limits
from app.errors import InvalidRequest, TooLarge
from app.specification.feature_files import read_rows
from pricing.domain import Box, Feature

LIMITS = Limits(rows=1000, size=1 << 20)
SPOT, STRIKE, Y = [1.5, 2.25, 3.0], [0.5, 1.0, 2.5], [0.125, 0.25, 0.5]
CSV = "spot,strike,y\n1.5,0.5,0.125\n2.25,1.0,0.25\n3.0,2.5,0.5\n"
COLUMNS: dict[str, Any] = {"spot": SPOT, "strike": STRIKE, "y": Y}


def text_of(text: str) -> bytes:
    return text.encode()


def parquet_of(columns: dict[str, Any], index: list[Any] | None = None) -> bytes:
    table, stream = arrow.table(columns), io.BytesIO()
    if index is not None:
        table = table.replace_schema_metadata({"pandas": json.dumps({"index_columns": index})})
    parquet.write_table(table, stream)
    return stream.getvalue()


def npz_of(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def with_column(name: str, cells: list[str], separator: str = ",") -> bytes:
    lines = CSV.replace(",", separator).splitlines()
    return "\n".join(f"{cell}{separator}{line}" for cell, line in zip([name, *cells], lines, strict=True)).encode()


def decimals(kind: Any) -> bytes:
    numbers = {name: [decimal.Decimal(str(n)) for n in column] for name, column in COLUMNS.items()}
    return parquet_of({name: arrow.array(column, kind) for name, column in numbers.items()})


def half() -> bytes:
    return parquet_of({name: np.array(column, np.float16) for name, column in COLUMNS.items()})


TIMES = arrow.array([0, 1, 2], arrow.timestamp("s"))
SAME: dict[str, bytes] = {
    "plain": text_of(CSV),
    "id of integers in Parquet": parquet_of({"id": [1, 2, 3], **COLUMNS}),
    "ID of strings in Parquet": parquet_of({"ID": ["a", "b", "c"], **COLUMNS}),
    "Id of categories in Parquet": parquet_of({"Id": arrow.array(["a", "b", "a"]).dictionary_encode(), **COLUMNS}),
    "id of timestamps in Parquet": parquet_of({"id": TIMES, **COLUMNS}),
    "id of nothing in Parquet": parquet_of({"id": arrow.nulls(3), **COLUMNS}),
    "id of lists in Parquet": parquet_of({"id": [["a"], [], None], **COLUMNS}),
    "an index of pandas": parquet_of({**COLUMNS, "__index_level_0__": [0, 1, 2]}),
    "two of them": parquet_of({**COLUMNS, "__index_level_0__": ["a", "b", "c"], "__index_level_1__": [0, 1, 2]}),
    "an index with a name": parquet_of({**COLUMNS, "trade": [7, 8, 9]}, ["trade"]),
    "a range as index": parquet_of(COLUMNS, [{"kind": "range", "name": None, "start": 0, "stop": 3, "step": 1}]),
    "blanks around names in Parquet": parquet_of({f" {name} ": column for name, column in COLUMNS.items()}),
    "decimal128": decimals(arrow.decimal128(12, 3)),
    "decimal256": decimals(arrow.decimal256(50, 3)),
    "float16": half(),
    "id in CSV": with_column(" iD ", ["T-1", "", "3"]),
    "trailing commas": text_of(CSV.replace("\n", ",,\n")),
    "trailing semicolons": text_of(CSV.replace(",", ";").replace("\n", ";;\n")),
    "a trailing tab": text_of(CSV.replace(",", "\t").replace("\n", "\t\n")),
    "trailing commas below the header": text_of(CSV.replace("\n", ",\n").replace("y,", "y", 1)),
    "blank names and cells": text_of(CSV.replace("\n", ", \n")),
    "an empty column in between": text_of(CSV.replace(",", ",,")),
    "rows of commas": text_of(CSV + ",,\n , ,\n"),
    "sep=;": text_of("sep=;\n" + CSV.replace(",", ";")),
    "sep=, with a mark": text_of("\ufeffSEP=,\r\n" + CSV),
    "sep= in quotes": text_of('"sep=;"\n' + CSV.replace(",", ";")),
    "sep= a tab": text_of("sep=\t\n" + CSV.replace(",", "\t")),
    "a comment": text_of("# by the desk; of Monday\n# twice\n\n" + CSV),
    "empty lines first": text_of("\n\n" + CSV.replace(",", ";")),
    "decimal commas": text_of(CSV.replace(",", ";").replace(".", ",")),
}


def read(data: bytes, folder: Path) -> Any:
    path = folder / "labels"
    path.write_bytes(data)
    return read_labels(path, LIMITS)


@pytest.mark.parametrize("name", SAME)
def test_the_same_content_is_the_same_dataset(name: str, tmp_path: Path) -> None:
    table = read(SAME[name], tmp_path)
    assert table.names == ("spot", "strike")
    assert content_hash(table) == content_hash(read(SAME["plain"], tmp_path))


@pytest.mark.parametrize("ids", [np.arange(3), np.array(["a", "b", "c"]), np.array([{}, 1, None], dtype=object)])
@pytest.mark.parametrize("name", ["id", "ID", "Id"])
def test_ids_in_an_archive_are_left_out_unread(name: str, ids: Any, tmp_path: Path) -> None:
    arrays = {"x": np.column_stack([SPOT, STRIKE]), "y": np.array(Y)}
    table = read(npz_of(**arrays, **{name: ids}), tmp_path)
    assert content_hash(table) == content_hash(read(npz_of(**arrays), tmp_path))


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, CSV)
    return stream.getvalue()


def feathered() -> bytes:
    stream = io.BytesIO()
    feather.write_feather(arrow.table(COLUMNS), stream)
    return stream.getvalue()


def single_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


BIG = 2**53
REFUSED: dict[str, tuple[bytes, str]] = {
    "thousands or decimals": (
        b"spot;strike;y\n8,342;1,250;2,500\n9,125;12;100\n",
        r"'8,342' may be 8.342 or, its thousands separated, 8342: .* another number of digits \(8.3420\)",
    ),
    "the same by points": (b"spot;y\n83.425;1.250\n91.425;7\n", "'83.425' may be 83.425 or, .* 83425"),
    "the same by tabs": (b"spot\ty\n83.425\t1.250\n91.425\t7\n", "'83.425' may be"),
    "thousands twice": (b"spot;y\n1.234.567;1\n2;2\n", "got '1.234.567'; write it without separators of thousands"),
    "thousands and decimals": (b"spot;y\n1.234,5;1\n2;2\n", "got '1.234,5'; write it without separators of thousands"),
    "thousands in quotes": (b'spot,y\n"8,342",1\n2,2\n', "got '8,342'; write it without separators of thousands"),
    "thousands by blanks": (b"spot,y\n8 342,1\n2,2\n", "got '8 342'; write it without separators of thousands"),
    "underscores": (b"spot,y\n1_00,1\n2,2\n", "line 2, column spot: need a number, got '1_00'"),
    "other digits": ("spot,y\n\u0665,1\n2,2\n".encode(), "line 2, column spot: need a number, got '\u0665'"),
    "other digits with a comma": ("spot;y\n\u0665,5;1\n2;2\n".encode(), "column spot: need a number"),
    "other digits in a name": ("x\u0660,y\n1,1\n2,2\n".encode(), "must be a name"),
    "a column without a name": (b"spot,,y\n1,7,1\n2,,2\n", "line 2: the header has no name for column 2, got '7'"),
    "pandas' index in CSV": (b",spot,y\n0,1,1\n1,2,2\n", "line 2: the header has no name for column 1, got '0'"),
    "more cells than names": (b"spot,y\n1,1,5\n2,2\n", "line 2: need 2 columns, got 3"),
    "two columns of ids": (b"id,ID,spot,y\n1,1,1,1\n2,2,2,2\n", "columns id and ID both name rows"),
    "another separator": (b"sep=|\nspot|y\n1|1\n", r"line 1: separate by commas, semicolons or tabs, got 'sep=\|'"),
    "a header in a comment": (b"# spot,y\n1,1\n2,2\n", "line 1 is a comment and line 2 has numbers"),
    "ZIP of CSV": (zipped("labels.csv"), "the file is a ZIP archive of labels.csv: unpack it"),
    "Excel": (zipped("xl/workbook.xml"), r"an Excel workbook \(.xlsx\)"),
    "gzip": (gzip.compress(CSV.encode(), mtime=0), "compressed by gzip: unpack it"),
    "bzip2": (bz2.compress(CSV.encode()), "compressed by bzip2: unpack it"),
    "npy": (single_array(), r"a single array \(.npy\)"),
    "Feather": (feathered(), "Arrow or Feather"),
    "PNG": (b"\x89PNG\r\n\x1a\n\x00", "a PNG picture"),
    "an empty archive": (npz_of(), "the archive is empty"),
    "UTF-16": (CSV.encode("utf-16"), "text in UTF-16"),
    "UTF-16 without a mark": (CSV.encode("utf-16-le"), "text in UTF-16"),
    "x of three dimensions": (npz_of(x=np.ones((1, 3, 2)), y=np.ones(1)), r"shape \(rows, features\), got \(1, 3, 2\)"),
    "a header alone": (b"spot,y\n", "the file has no rows"),
    "a Parquet of no rows": (
        parquet_of({"spot": arrow.array([], arrow.float64()), "y": arrow.array([], "f8")}),
        "no rows",
    ),
    "booleans": (parquet_of({**COLUMNS, "flag": [True, False, True]}), "column flag: need numbers, got bool"),
    "numbers beyond 2^53": (
        parquet_of({"spot": [BIG, BIG + 1], "strike": [1.0, 2.0], "y": [1.0, 2.0]}),
        "column spot is .* in every row as float64, which does not tell whole numbers beyond 9007199254740992 apart",
    ),
    "and one column of them": (
        parquet_of({"spot": [BIG, BIG + 1], "y": [1.0, 2.0]}),
        "at one point as float64, which does not tell",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    data, sentence = REFUSED[name]
    with pytest.raises(InvalidRequest, match=sentence):
        read(data, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "spot;y\n8,342;1,25\n9,125;1,5\n",  # another number of digits
        "spot;y\n8,342;0,125\n9,125;1,125\n",  # a leading 0
        "spot;y\n8.342;1.250e0\n9.125;2.250\n",
        "spot;y\n1234.567;1.250\n9.125;2.250\n",
        "spot,y\n8.342,1.250\n9.125,2.250\n",  # commas separate: no program groups by points there
        "spot;y\n8342;1\n9125;2\n",
    ],
)
def test_three_decimals_are_read_where_something_tells(text: str, tmp_path: Path) -> None:
    assert len(read(text.encode(), tmp_path).y) == 2


@pytest.mark.parametrize("shape", [(2000, 2), (10, 1 << 20)])
def test_what_an_archive_promises_is_limited_before_it_is_looked_for(shape: tuple[int, int], tmp_path: Path) -> None:
    header, stream = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"\0" * 80)
    with pytest.raises(TooLarge):
        read(stream.getvalue(), tmp_path)


BOX = Box(features=(Feature(name="a", lower=(0.0,), upper=(9.0,)), Feature(name="b", lower=(0.0,), upper=(9.0,))))
ROWS = [[1.0, 2.5], [1.0, 3.5]]


def priced(text: str, folder: Path) -> tuple[list[str] | None, Any]:
    path = folder / "rows"
    path.write_bytes(text.encode())
    return read_rows(path, BOX)


@pytest.mark.parametrize(
    "text",
    [
        "1,0;2,5\n1;3,5\n",  # decimal commas without a header
        "1,0\t2,5\n1\t3,5\n",
        "a;b\n1,0;2,5\n1;3,5\n",
        "b,a,,\n2.5,1,,\n3.5,1,,\n",
        "1,2.5,,\n1,3.5,,\n",
        "1;2.5;\n1;3.5;\n",
        "sep=;\n1,0;2,5\n1;3,5\n",
        "# rows of Monday\na,b\n1,2.5\n1,3.5\n",
        "id;a;b;\nT-1;1;2.5;\nT-2;1;3.5;\n",
    ],
)
def test_rows_to_price_are_read_by_the_same_rules(text: str, tmp_path: Path) -> None:
    assert priced(text, tmp_path)[1].tolist() == ROWS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a;b\n1,250;2,500\n", "'1,250' may be 1.250 or, its thousands separated, 1250"),
        ("8.342;1.250\n", "'8.342' may be"),
        ("1.234.567;1\n", "line 1, column 1: need a finite number, got '1.234.567'; write it without separators"),
        ("a,b\n1_0,2\n", "line 2, column 1: need a finite number, got '1_0'"),
        ("a,b\n\u0665,2\n", "line 2, column 1: need a finite number"),
        ("a,b,\n1,2,7\n", "line 2: the header has no name for column 3, got '7'"),
        ("1,2,7\n", "line 1: need 2 columns, got 3"),
        ("# b,a\n1,2\n", "line 1 is a comment and line 2 has numbers where the header would be"),
        ("\x1f\u008b", "not CSV text|must name"),
    ],
)
def test_rows_to_price_are_refused_by_the_same_rules(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        priced(text, tmp_path)


@pytest.mark.parametrize(
    "data", [gzip.compress(b"a,b", mtime=0), parquet_of(COLUMNS), npz_of(a=np.ones(2)), b"\x89PNG\r\n"]
)
def test_rows_of_another_kind_are_called_by_its_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(data)
    with pytest.raises(InvalidRequest, match=r"rows is (compressed by gzip|Parquet|a ZIP archive|a PNG)"):
        read_rows(tmp_path / "rows", BOX)
