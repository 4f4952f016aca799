"""Parquet files as named columns of numbers; pyarrow is imported when one is read. Torch-free."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.datasets.table import Limits, require_numbers, require_rows
from app.errors import InvalidRequest, Unavailable
from app.specification.csv_text import without_id
from pricing.types import Array

# What pandas calls an index without a name.
INDEX = re.compile(r"__index_level_[0-9]+__")
# Characters of a list of names that are shown.
SHOWN = 200
INSTALL_PARQUET = "pip install -c constraints.txt '.[parquet]'"


def read_parquet(path: Path, limits: Limits) -> tuple[list[str], Array, Sequence[int]]:
    """Header, numbers and row numbers; a column of lists becomes one column for each of their places.

    Shape: numbers row column.

    Raises:
        InvalidRequest, TooLarge: names what is wrong.
        Unavailable: pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise Unavailable(f"Parquet files need pyarrow: {INSTALL_PARQUET}; or send CSV or NPZ") from error
    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            require_rows(file.metadata.num_rows, limits)
            require_numbers(_numbers_in(file.metadata), limits)
            fields = _features(file.schema_arrow)
            for field in fields:
                _require_type(field)
            names = [field.name for field in fields]
            table = file.read(columns=names, use_threads=False)
            if table.column_names != names:
                raise InvalidRequest(
                    f"columns {', '.join(table.column_names)[:SHOWN]} cannot be told apart: rename them"
                )
        columns: dict[str, Array] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            for own, numbers in _split(name.strip(), column.combine_chunks()):
                if own in columns:
                    raise InvalidRequest(f"column {own} is there twice", path=own)
                columns[own] = numbers
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError, OSError) as error:
        raise InvalidRequest(f"the file is not readable Parquet: {str(error)[:200]}") from error
    header = list(columns)
    numbers = np.stack(list(columns.values()), axis=1) if header else np.empty((0, 0))
    return header, numbers, range(len(numbers))


def _features(schema: Any) -> list[Any]:
    """The fields that are no names of rows: neither ``id`` nor an index of pandas."""
    kept, _ = without_id(schema.names)
    index = _index_of(schema.metadata or {})
    named = [(schema.names[place], schema.field(place)) for place in kept]
    return [field for name, field in named if name not in index and not INDEX.fullmatch(name)]


def _index_of(metadata: Mapping[bytes, bytes]) -> set[str]:
    """The columns that pandas wrote for the index of a frame; none where it does not say so."""
    try:
        told = json.loads(metadata.get(b"pandas", b"{}"))
        return {name for name in told["index_columns"] if isinstance(name, str)}
    except (ValueError, TypeError, LookupError):
        return set()


def _numbers_in(metadata: Any) -> int:
    """How many numbers the columns hold, those in lists too: a file of few bytes may hold many equal ones."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.column(place).num_values for group in groups for place in range(group.num_columns))


def _require_type(field: Any) -> None:
    """Raise InvalidRequest unless a column holds numbers or lists of numbers: what else it holds is never read."""
    from pyarrow import types

    kind = field.type.value_type if _is_list(field.type) else field.type
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind)):
        raise InvalidRequest(f"column {field.name}: need numbers, got {field.type}", path=field.name)


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _split(name: str, column: Any) -> Iterator[tuple[str, Array]]:
    """A column of numbers, or those of a column of lists: name and numbers of each."""
    rows = len(column)
    _require_filled(name, column, 1)
    if not _is_list(column.type):
        yield name, _as_float64(column)
        return
    flat = column.flatten()
    width = len(flat) // max(rows, 1)
    if not width or any(len(entry) != width for entry in column):
        raise InvalidRequest(f"column {name}: all its lists must have the same length, at least 1", path=name)
    _require_filled(name, flat, width)
    for place, numbers in enumerate(_as_float64(flat).reshape(rows, width).T):
        yield f"{name}[{place}]", numbers


def _require_filled(name: str, numbers: Any, width: int) -> None:
    """Raise InvalidRequest for the first of the numbers, ``width`` a row, that is null."""
    if numbers.null_count:
        row = next(i for i in range(len(numbers)) if not numbers[i].is_valid) // width
        raise InvalidRequest(f"row {row}, column {name}: need a number, got nothing", path=f"row {row}.{name}")


def _as_float64(column: Any) -> Array:
    from pyarrow import float64, types

    if types.is_decimal(column.type):
        column = column.cast(float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
