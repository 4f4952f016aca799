"""NPZ files as labels; nothing in them is ever unpickled. Torch-free."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from app.datasets.table import VALUE, WEIGHT, LabelTable, Limits, checked, require_numbers, require_rows
from app.errors import InvalidRequest
from pricing.types import Array


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
    rows = len(x) if x.ndim == 2 else 0
    wanted = {"x": x.shape if x.ndim == 2 else ("n", "d"), VALUE: (rows,), "dydx": x.shape, WEIGHT: (rows,)}
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
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else _header_2
                    shape, _, dtype = read(file)
                    count = math.prod(shape)
                    if dtype.kind not in "fiu" or count * dtype.itemsize > entry.file_size:
                        raise ValueError(f"{entry.filename} holds {dtype} of shape {shape}, not numbers")
                    numbers += count
                    require_numbers(numbers, limits)
                with archive.open(entry) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                if array.ndim == 0:
                    raise ValueError(f"{entry.filename} holds a single number")
                require_rows(len(array), limits)
                arrays[entry.filename.removesuffix(".npy")] = np.ascontiguousarray(array, dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(f"the file is not an NPZ archive of numbers: {str(error)[:200]}") from error
    return arrays


def _header_2(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = np.lib.format.read_array_header_2_0(file)
    return header
