from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.specification import source_files
from app.specification.source_files import open_source, other_kind


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"PK\x03\x04", "ZIP"),
        (b"PK\x05\x06", "ZIP"),
        (b"\x93NUMPY\x01", ".npy"),
        (b"ARROW1\x00\x00", "Feather"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x80\x04\x95", "pickle"),
        (b"PAR1\x15", "Parquet"),
        (b"\xff\xfex\x00", "UTF-16"),
        ("x0,y".encode("utf-16-le"), "UTF-16"),
        ("x0,y".encode("utf-16-be"), "UTF-16"),
        (b'{"x": 1}', "JSON"),
        (b"<html>", "HTML"),
    ],
)
def test_other_files_have_a_name(start: bytes, kind: str) -> None:
    assert kind in str(other_kind(start))


@pytest.mark.parametrize("start", [b"", b"x", b"PK1,y", b"PAR1,y", b"BZh,y", b"x0,y\n1,2", b"\xef\xbb\xbfx,y", b"7z,y"])
def test_text_has_none(start: bytes) -> None:
    assert other_kind(start) is None


def test_pipes_with_a_writer_are_read_and_others_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    with open_source(pipe) as file:
        assert len(file.read()) == 100_000
    writer.join()
    monkeypatch.setattr(source_files, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(InvalidRequest, match="no process wrote into this pipe"):
        open_source(pipe)


def write_late(descriptor: int) -> None:
    os.write(descriptor, b"late")
    os.close(descriptor)


def test_a_writer_that_takes_his_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "PATIENCE_SECONDS", 0.05)
    reader, writer = os.pipe()
    try:
        late = threading.Timer(0.3, write_late, args=(writer,))
        late.start()
        with open_source(Path(f"/dev/fd/{reader}")) as file:
            assert file.read() == b"late"
        late.join()
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("path", "message"), [("/dev/null", "it is a device"), ("/tmp", "it is a directory"), ("/no/such", "No such file")]
)
def test_what_is_no_file_is_refused(path: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=f"cannot read {path}: {message}"):
        open_source(Path(path))
