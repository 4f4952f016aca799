from __future__ import annotations

from pathlib import Path

import pytest

from app.specification.toml_files import read_build_spec
from pricing.errors import InvalidSpec


def test_a_build_is_read_from_its_file(tiny_file: Path) -> None:
    spec = read_build_spec(tiny_file)
    assert (spec.name, spec.seed, spec.labels.samples) == ("tiny", 1, 32)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read .*absent.toml"), (b"name =", "is not valid TOML"), (b"\xff", "is not valid TOML")],
)
def test_what_is_no_file_of_a_build_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "absent.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSpec, match=message):
        read_build_spec(path)
