from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from app.pipeline.apart import differences, environment_apart, flat, sha256, unlike, weights
from app.pipeline.environment import environment
from app.pipeline.verification import Pair
from pricing.domain import Box, Feature
from surrogate.artifact.files import read
from surrogate.export.onnx_reader import read_surrogate
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise


@pytest.fixture
def box() -> Box:
    return Box(features=(Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5)),))


@pytest.fixture
def network() -> Network:
    return initialise((2, 4, 1), "silu", generator=torch.Generator().manual_seed(1))


def moved(network: Network, by: float) -> Network:
    """The same with another output bias, so that values move by it and nothing else does."""
    return Network(**vars(network) | {"biases": (*network.biases[:-1], network.biases[-1] + by)})


def test_weights_are_those_that_are_computed_with(network: Network, box: Box) -> None:
    assert weights(network) == weights(read_surrogate(to_onnx(network, box=box, metadata={"name": "a"})))
    assert weights(network) != weights(moved(network, 1e-15))
    assert weights(network) != weights(Network(**vars(network) | {"activation": "softplus"}))


def test_differences_are_the_largest_and_a_share_of_the_size(network: Network, box: Box) -> None:
    one, other = (to_onnx(each, box=box, metadata={}) for each in (network, moved(network, 0.25)))
    found = differences(one, other, box)
    assert found["value"].largest == pytest.approx(0.25, rel=1e-12)
    assert found["value"].share is not None
    assert 0.0 < found["value"].share < np.inf
    assert (found["delta"].largest, found["delta"].share, found["gamma"].largest) == (0.0, 0.0, 0.0)
    assert all(each.largest == 0.0 for each in differences(one, one, box).values())


def test_specifications_differ_by_paths() -> None:
    then = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": {"f": 1}}
    assert list(unlike(then, then)) == []
    assert list(unlike(then, {"a": 2, "b": {"c": [1, 3], "d": None}, "g": 1})) == ["a", "b.c", "e", "g"]


def test_facts_of_the_environment_that_differ(tiny_registry: Path) -> None:
    made = read(tiny_registry / "tiny" / "1")
    here = environment()
    assert environment_apart(here, made.manifest.provenance) == {}
    assert environment_apart(None, made.manifest.provenance) == {}
    older = replace(here, system="Linux-4", instruction_set={**here.instruction_set, "torch": "DEFAULT"})
    apart = environment_apart(older, made.manifest.provenance)
    assert apart == {
        "system": Pair(then="Linux-4", now=here.system),
        "instruction set of torch": Pair(then="DEFAULT", now=here.instruction_set["torch"]),
    }
    assert "commit" not in flat(replace(here, commit=None))
    said = "changed since the commit"
    assert [flat(replace(here, changed=changed)).get(said) for changed in (True, False, None)] == ["yes", "no", None]


def test_a_file_that_is_not_there_has_no_hash() -> None:
    assert sha256(None) is None
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
