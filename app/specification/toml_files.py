"""Specifications in TOML files. Torch-free."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from app.specification.build import BuildSpec
from app.specification.state_files import with_states
from pricing.errors import InvalidSpec
from pricing.specs.base import load


def read_build_spec(path: Path) -> BuildSpec:
    """A BuildSpec from a TOML file.

    Raises:
        InvalidSpec: the file is missing, is not TOML, or does not describe a build.
    """
    return load(BuildSpec, with_states(read_toml(path), path.parent))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InvalidSpec: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSpec(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise InvalidSpec(f"{path} has tables nested far deeper than any specification") from error
