from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx.utils import Extractor

from pricing.domain import Box, Feature
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.errors import CorruptArtifact
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.subgraph import part_for
from surrogate.functions.network import initialise
from surrogate.reductions.choice import reduce
from surrogate.runtime import open_session

SPOTS = Feature(name="spot", lower=(0.5, 0.5), upper=(1.5, 1.5))
PARAMETERS = (
    Feature(name="strike", lower=(0.8,), upper=(1.2,)),
    Feature(name="maturity", lower=(0.05,), upper=(2.0,), unit="years"),
)


def plain() -> tuple[bytes, Box]:
    """A network on two spots."""
    box = Box(features=(SPOTS,))
    network = initialise((2, 5, 4, 1), "silu", generator=torch.Generator().manual_seed(1))
    return to_onnx(network, box=box, metadata={"name": "plain"}), box


def scaled() -> tuple[bytes, Box]:
    """A call on two assets for every strike and maturity, by exact scaling."""
    process = Bachelier(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0)))
    problem = PricingProblem(
        process=process, payoff=Call(weights=(0.5, 0.5), strike=1.0), maturity=1.0, features=(SPOTS, *PARAMETERS)
    )
    reduction = reduce(problem)
    assert reduction is not None
    network = initialise((reduction.box.dimension, 3, 3, 1), "silu", generator=torch.Generator().manual_seed(2))
    return to_onnx(network, box=problem.box, metadata={"name": "scaled"}, reduction=reduction), problem.box


MODELS = {"plain": plain(), "scaled": scaled()}


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        ("plain", ["value"]),
        ("plain", ["value", "delta"]),
        ("plain", ["gamma"]),
        ("scaled", ["value"]),
        ("scaled", ["theta"]),
        ("scaled", ["value", "delta", "strike", "theta"]),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 700])
def test_a_part_answers_as_the_whole_does_to_the_last_bit(model: str, outputs: Sequence[str], rows: int) -> None:
    whole, box = MODELS[model]
    features = box.from_uniforms(np.random.default_rng(3).uniform(size=(rows, box.dimension)))
    files = (whole, part_for(whole, outputs))
    sessions = [open_session(file) for file in files]
    expected, got = (session.run(outputs, {"features": features}) for session in sessions)
    assert [output.name for output in sessions[1].get_outputs()] == list(outputs)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("model", MODELS)
def test_the_nodes_are_those_that_onnx_itself_finds(model: str) -> None:
    whole = onnx.load_from_string(MODELS[model][0])
    for outputs in (["value"], ["value", "delta"]):
        part = onnx.load_from_string(part_for(MODELS[model][0], outputs))
        expected = Extractor(whole).extract_model(["features"], outputs)
        assert list(part.graph.node) == list(expected.graph.node)
        assert len(part.graph.node) < len(whole.graph.node)
        assert (part.metadata_props, part.opset_import) == (whole.metadata_props, whole.opset_import)
        assert part.graph.initializer == whole.graph.initializer


def test_all_outputs_are_the_file_itself() -> None:
    whole = MODELS["plain"][0]
    assert part_for(whole, ["value", "delta", "gamma"]) == whole


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(CorruptArtifact, match="no node makes vega"):
        part_for(MODELS["plain"][0], ["value", "vega"])


@pytest.mark.parametrize("content", [MODELS["plain"][0][:-7], b"\x3a\xff", b"\x3d\x00\x00\x00\x00", b"\x3a\x00"])
def test_bytes_that_are_no_file_are_refused(content: bytes) -> None:
    with pytest.raises(CorruptArtifact, match="not an ONNX file"):
        part_for(content, ["value"])


@given(st.binary(max_size=64))
def test_no_bytes_make_it_fail_otherwise(content: bytes) -> None:
    """A message without a graph stays as it is."""
    with suppress(CorruptArtifact):
        assert part_for(content, ["value"]) == content
