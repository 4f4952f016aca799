"""How far apart two models of one version are, and where they were made: weights, outputs, specifications, machines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import torch

from app.pipeline.environment import environment
from app.pipeline.provenance import versions
from app.pipeline.verification import Apart, Pair
from pricing.domain import Box
from pricing.types import Array
from surrogate.artifact.environment import Environment
from surrogate.artifact.manifest import Provenance
from surrogate.functions.surrogate import Surrogate
from surrogate.report.record import known
from surrogate.runtime import open_session

# Points of the Box at which outputs are compared, and of one call.
POINTS, ROWS = 4096, 512


def weights(surrogate: Surrogate) -> str:
    """A hash of all that a surrogate computes with, however it is written."""
    found = hashlib.sha256()
    for name, value in sorted(vars(surrogate).items()):
        found.update(name.encode())
        for part in value if isinstance(value, tuple) else (value,):
            found.update(part.detach().numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode())
    return found.hexdigest()


def differences(then: bytes, now: bytes, box: Box) -> dict[str, Apart]:
    """How far two graphs of the same features are apart, by the outputs that both have."""
    sessions = open_session(then, threads=1), open_session(now, threads=1)
    names = [output.name for output in sessions[0].get_outputs()]
    names = [name for name in names if name in {output.name for output in sessions[1].get_outputs()}]
    points = box.from_uniforms(np.random.default_rng(0).uniform(size=(POINTS, box.dimension)))
    apart, size = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for first in range(0, POINTS, ROWS):
        part = {"features": points[first : first + ROWS]}
        for name, one, other in zip(names, *(session.run(names, part) for session in sessions), strict=True):
            apart[name] = max(apart[name], _largest(one - other))
            size[name] = max(size[name], _largest(one))
    return {
        name: Apart(largest=apart[name], share=apart[name] / size[name] if size[name] > 0.0 else None) for name in names
    }


def _largest(array: Array) -> float:
    return float(np.abs(array).max())


def environment_apart(then: Environment | None, provenance: Provenance) -> dict[str, Pair]:
    """Facts of the environment that differ, those that the version does not say left out; libraries by name."""
    plain = {} if then is None else flat(then)
    before = plain | {f"library {name}": told for name, told in (known(provenance.libraries) or {}).items()}
    here = flat(environment()) | {f"library {name}": told for name, told in versions().items()}
    return {name: Pair(then=value, now=here.get(name)) for name, value in before.items() if here.get(name) != value}


def flat(made: Environment) -> dict[str, str]:
    """Its facts by their names in words."""
    plain: dict[str, Any] = msgspec.to_builtins(made)
    sets: Mapping[str, str] = plain.pop("instruction_set")
    if (changed := plain.pop("changed", None)) is not None:
        plain["changed since the commit"] = "yes" if changed else "no"
    named = {name: str(value) for name, value in plain.items()}
    return named | {f"instruction set of {library}": text for library, text in sets.items()}


def sha256(content: bytes | None) -> str | None:
    """The hash of a file that is there."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def unlike(then: object, now: object, path: str = "") -> Iterator[str]:
    """The paths of the fields by which two specifications in plain data differ."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted({*then, *now}):
            yield from unlike(then.get(name), now.get(name), f"{path}.{name}" if path else str(name))
    elif then != now:
        yield path
