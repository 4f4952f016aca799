"""NPZ files as labels; nothing in them is ever unpickled. Torch-free."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from app.datasets.table import VALUE, WEIGHT, LabelTable, Limits, checked, require_numbers, require_rows
from app.errors import InvalidRequest
from app.specification.csv_text import without_id
from pricing.types import Array

# Characters of a list of names that are shown.
SHOWN = 200


def from_archive(path: Path, limits: Limits) -> LabelTable:
    """The labels in an NPZ file.

    Raises:
        InvalidRequest, TooLarge: names what is wrong.
    """
    arrays = _arrays(path, limits)
    if unknown := sorted(set(arrays) - {"x", VALUE, "dydx", WEIGHT}):
        raise InvalidRequest(f"the archive has {', '.join(unknown)}; it may have x, y, dydx, weight", path=unknown[0])
    for name in ("x", VALUE):
        if name not in arrays:
            raise InvalidRequest(f"the archive lacks {name}; it needs x (n, d) and y (n,)", path=name)
    x = arrays["x"][:, None] if arrays["x"].ndim == 1 else arrays["x"]
    if x.ndim != 2:
        raise InvalidRequest(f"x must have the shape (rows, features), got {x.shape}", path="x")
    rows = len(x)
    wanted = {"x": x.shape, VALUE: (rows,), "dydx": x.shape, WEIGHT: (rows,)}
    arrays["x"] = x
    if "dydx" in arrays and arrays["dydx"].ndim == 1:
        arrays["dydx"] = arrays["dydx"][:, None]
    for name, array in arrays.items():
        if array.shape != wanted[name]:
            raise InvalidRequest(f"{name} must have the shape {wanted[name]}, got {array.shape}", path=name)
    names = tuple(f"x[{place}]" for place in range(x.shape[1]))
    table = LabelTable(names=names, x=x, y=arrays[VALUE], dydx=arrays.get("dydx"), weight=arrays.get(WEIGHT))
    return checked(table, range(rows), "row")


def _arrays(path: Path, limits: Limits) -> dict[str, Array]:
    """The arrays of an NPZ file; each header is read first, so that none can promise more than its file holds."""
    arrays: dict[str, Array] = {}
    numbers = 0
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            _require_arrays([entry.filename for entry in archive.infolist()])
            kept, _ = without_id(list(entries))
            for name, entry in [list(entries.items())[place] for place in kept]:
                with archive.open(entry) as file:
                    shape, dtype = _header(file, entry.filename)
                    require_rows(shape[0], limits)
                    numbers += math.prod(shape)
                    require_numbers(numbers, limits)
                    if math.prod(shape) * dtype.itemsize > entry.file_size:
                        raise ValueError(f"{entry.filename} is shorter than its shape {shape} of {dtype}")
                with archive.open(entry) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                arrays[name] = np.ascontiguousarray(array, dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(f"the file is not an NPZ archive of numbers: {str(error)[:200]}") from error
    return arrays


def _require_arrays(names: list[str]) -> None:
    """Raise InvalidRequest for an archive of something else."""
    if not names:
        raise InvalidRequest("the archive is empty; it needs x (n, d) and y (n,)", path="x")
    if any(name.startswith("xl/") for name in names):
        raise InvalidRequest("the file is an Excel workbook (.xlsx); save it as CSV in UTF-8, Parquet or NPZ")
    if other := [name for name in names if not name.endswith(".npy")]:
        raise InvalidRequest(f"the file is a ZIP archive of {', '.join(other)[:SHOWN]}: unpack it")
    if len(set(names)) < len(names):
        raise InvalidRequest(f"the archive has {next(n for n in names if names.count(n) > 1)} twice")


def _header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that an array says it has.

    Raises:
        ValueError: it is none of numbers with rows.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {dtype}, not numbers")
    if not shape or min(shape) < 0:
        raise ValueError(f"{name} holds a single number" if not shape else f"{name} has the shape {shape}")
    return shape, dtype
