"""Parquet files as named columns of numbers; pyarrow is imported when one is read. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import InvalidRequest, Unavailable
from app.label_table import Limits, require_rows, require_size
from pricing.types import Array

INSTALL_PARQUET = "pip install -c constraints.txt '.[parquet]'"


def read_parquet(path: Path, limits: Limits) -> tuple[list[str], Array, Sequence[int]]:
    """Header, numbers and row numbers; a column of lists becomes one column for each of their places.

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
            groups = range(file.metadata.num_row_groups)
            require_size(sum(file.metadata.row_group(group).total_byte_size for group in groups), limits)
            table = file.read()
        columns: dict[str, Array] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            _add_column(columns, name, column.combine_chunks(), limits)
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError, OSError) as error:
        raise InvalidRequest(f"the file is not readable Parquet: {str(error)[:200]}") from error
    header = list(columns)
    numbers = np.stack(list(columns.values()), axis=1) if header else np.empty((0, 0))
    return header, numbers, range(len(numbers))


def _add_column(columns: dict[str, Array], name: str, column: Any, limits: Limits) -> None:
    """Add one column of numbers, or those of a column of lists, to ``columns``."""
    import pyarrow as arrow

    rows = len(column)
    if column.null_count:
        row = next(i for i in range(rows) if not column[i].is_valid)
        raise InvalidRequest(f"row {row}, column {name}: need a number, got nothing", path=f"row {row}.{name}")
    kinds = arrow.types
    if kinds.is_list(column.type) or kinds.is_large_list(column.type) or kinds.is_fixed_size_list(column.type):
        flat = column.flatten()
        if not rows or len(flat) % rows or any(len(entry) != len(flat) // rows for entry in column):
            raise InvalidRequest(f"column {name}: all its lists must have the same length", path=name)
        require_size(8 * len(flat), limits)
        parts: dict[str, Array] = {}
        _add_column(parts, name, flat, limits)
        for place, part in enumerate(parts[name].reshape(rows, -1).T):
            _add(columns, f"{name}[{place}]", part)
        return
    if not (kinds.is_floating(column.type) or kinds.is_integer(column.type)):
        raise InvalidRequest(f"column {name}: need numbers, got {column.type}", path=name)
    _add(columns, name, np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64))


def _add(columns: dict[str, Array], name: str, numbers: Array) -> None:
    if name in columns:
        raise InvalidRequest(f"column {name} is there twice", path=name)
    columns[name] = numbers
