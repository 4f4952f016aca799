"""Files of labels in every format, and what befalls files: cut, flipped, spliced, grown, other words in the header."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

X = np.random.default_rng(0).normal(size=(20, 2))
Y, DYDX = X.sum(axis=1), np.ones((20, 2))
FLAT = {"x0": X[:, 0], "x1": X[:, 1], "y": Y, "dydx0": DYDX[:, 0], "dydx1": DYDX[:, 1]}
LISTS = {"x": X.tolist(), "y": Y, "dydx": DYDX.tolist()}


def _csv(separator: str, *, mark: bytes = b"") -> bytes:
    rows = zip(*FLAT.values(), strict=True)
    lines = [separator.join(FLAT), *(separator.join(map(repr, map(float, row))) for row in rows)]
    return mark + "\n".join(lines).encode()


def _npz(compression: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, array in {"x": X, "y": Y, "dydx": DYDX}.items():
            inner = io.BytesIO()
            np.save(inner, array)
            archive.writestr(f"{name}.npy", inner.getvalue())
    return stream.getvalue()


def _parquet(columns: Mapping[str, object], **options: object) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(arrow.table(columns), stream, **options)
    return stream.getvalue()


def originals() -> dict[str, bytes]:
    """A good file of every format, compression and encoding."""
    stores = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}
    stores |= {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    packed = {f"parquet {name}": _parquet(FLAT, compression=name) for name in ("none", "snappy", "gzip", "zstd", "lz4")}
    return {
        "csv": _csv(","),
        "csv with a mark": _csv(",", mark=b"\xef\xbb\xbf"),
        "csv semicolons": _csv(";"),
        "csv tabs": _csv("\t"),
        **{f"npz {name}": _npz(method) for name, method in stores.items()},
        **packed,
        "parquet lists": _parquet(LISTS),
        "parquet split": _parquet(FLAT, use_dictionary=False, column_encoding="BYTE_STREAM_SPLIT"),
        "parquet version 1": _parquet(FLAT, version="1.0", data_page_version="2.0"),
    }


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _overwritten(data: bytes, dice: random.Random) -> bytes:
    begin, words = dice.randrange(len(data)), (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"-1", b"1e309", b"\xd8\x00", b"\n")
    word = dice.choice(words) * dice.choice((1, 4, 64))
    return data[:begin] + word + data[begin + len(word) :]


def _grown(data: bytes, dice: random.Random) -> bytes:
    begin, end = sorted((dice.randrange(len(data)), dice.randrange(len(data))))
    return data[:end] + data[begin:end] * dice.choice((1, 3, 50)) + data[end:]


def _swapped(data: bytes, dice: random.Random) -> bytes:
    a, b, c = sorted(dice.randrange(len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _reworded(data: bytes, dice: random.Random) -> bytes:
    old = dice.choice((b"descr", b"<f8", b"(20, 2)", b"(20,)", b"fortran", b"x0", b"y", b"dydx", b"PK", b"PAR1", b","))
    new = dice.choice(
        (b"O", b"|O8", b"(99999999999, 2)", b"(-1, 2)", b"(" * 40, b"", b"\xff\xfe", b"id", b"y" * 300, b";")
    )
    return data.replace(old, new, dice.choice((1, -1)))


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flipped, _overwritten, _grown, _swapped, _reworded
)  # fmt: skip


def damaged(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged files with what was done to them, the formats in turn."""
    dice, good = random.Random(seed), list(originals().items())
    for number in range(count):
        name, data = good[number % len(good)]
        done = [dice.choice(DAMAGES) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
        for damage in done:
            data = damage(data, dice) if data else data
        yield f"{number}: {name}, {', '.join(damage.__name__.strip('_') for damage in done)}", data
